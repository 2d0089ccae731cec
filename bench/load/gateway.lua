-- One stored 204 over and over, in origin form, through a gateway:  wrk -s gateway.lua http://GATEWAY -- [PATH] [DEPTH]
-- PATH is /hit unless told; DEPTH requests are sent at once (pipelined), 1 unless told.
function init(args)
	all = string.rep(wrk.format("GET", args[1] or "/hit"), tonumber(args[2] or 1))
end

function request()
	return all
end
