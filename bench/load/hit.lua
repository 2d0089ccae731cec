-- One stored 204 over and over, in absolute form:  wrk -s hit.lua http://PROXY -- ORIGIN [DEPTH]
-- DEPTH requests are sent at once (pipelined), 1 unless told.
function init(args)
	local origin, depth = args[1], tonumber(args[2] or 1)
	local one = wrk.format("GET", "http://" .. origin .. "/hit", {Host = origin})
	all = string.rep(one, depth)
end

function request()
	return all
end
