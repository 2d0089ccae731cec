-- Hits all over a store that bench/fill.c made:  wrk -s random.lua http://PROXY -- ORIGIN RECORDS [DEPTH]
-- Each request is for one of /hit/0 to /hit/RECORDS-1, chosen anew; DEPTH of them are sent at once.
function init(args)
	records, depth = tonumber(args[2]), tonumber(args[3] or 1)
	before = "GET http://" .. args[1] .. "/hit/"
	after = " HTTP/1.1\r\nHost: " .. args[1] .. "\r\n\r\n"
	math.randomseed(os.time())
	all = {}
end

function request()
	for i = 1, depth do
		all[i] = before .. math.random(0, records - 1) .. after
	end
	return table.concat(all)
end
