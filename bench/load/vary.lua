-- One URI of which each language has a response of its own:  wrk -s vary.lua http://PROXY -- ORIGIN [LANGUAGES] [PATH]
-- LANGUAGES, 8 unless told, are asked for in turn; PATH is /vary unless told, with Vary: Accept-Language.
function init(args)
	local origin, path = args[1], args[3] or "/vary"
	requests, at = {}, 0
	for n = 1, tonumber(args[2] or 8) do
		requests[n] = wrk.format("GET", "http://" .. origin .. path,
			{Host = origin, ["Accept-Language"] = "x-" .. n})
	end
end

function request()
	at = at % #requests + 1
	return requests[at]
end
