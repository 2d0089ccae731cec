-- A conditional request that a stored 204 answers with 304:  wrk -s hit_304.lua http://PROXY -- ORIGIN
function init(args)
	local origin = args[1]
	local fields = {Host = origin, ["If-None-Match"] = '"bench"'}
	one = wrk.format("GET", "http://" .. origin .. "/hit", fields)
end

function request()
	return one
end
