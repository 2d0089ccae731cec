-- All connections ask for the same cold URI at about the same time, then for the next one:
--   wrk -t1 -cN -s herd.lua http://PROXY -- ORIGIN N
-- The origin takes 10 ms for each; a cache that collapses asks it once in N requests.
function init(args)
	origin, size = args[1], tonumber(args[2])
	fields = {Host = origin}
	sent, run = 0, os.time()
end

function request()
	local uri = string.format("http://%s/herd/%d/%d", origin, run, math.floor(sent / size))
	sent = sent + 1
	return wrk.format("GET", uri, fields)
end
