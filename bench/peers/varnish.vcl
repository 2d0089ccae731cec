# Varnish before the origin, with a 204 as it is: its own rules store it by max-age.
vcl 4.1;

backend default {
	.host = "127.0.0.1";
	.port = "@ORIGIN@";
}
