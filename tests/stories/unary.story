# The usual call: request, response, trailers.
fresh
0 client request 1 /a.A/One
1 client data 1 12 end
5 server response 1
5 server data 1 20
6 server trailers 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-6 12/20
