-- A response that is stale each second, and used while one request fetches it anew:
--   wrk -s stale.lua http://PROXY -- ORIGIN [PATH]
-- PATH is /stale unless told: max-age=1, stale-while-revalidate=3600. No request waits for the origin after the first.
function init(args)
	local origin, path = args[1], args[2] or "/stale"
	one = wrk.format("GET", "http://" .. origin .. path, {Host = origin})
end

function request()
	return one
end
