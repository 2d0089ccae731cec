-- An answer that is never stored:  wrk -s miss.lua http://PROXY -- ORIGIN [PATH]
-- PATH is /miss (204, no-store) unless told; /body is a 200 of 1 KiB, /stale a 204 of max-age=1 that may be used
-- while one request fetches it anew.
function init(args)
	local origin, path = args[1], args[2] or "/miss"
	one = wrk.format("GET", "http://" .. origin .. path, {Host = origin})
end

function request()
	return one
end
