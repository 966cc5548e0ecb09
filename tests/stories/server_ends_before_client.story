# The server has enough: trailers while the client still sends.
fresh
0 client request 1 /a.A/Upload
1 client data 1 1000
2 server trailers-only 1 8
3 client data 1 500
4 client data 1 1 end
expect
started 1 /a.A/Upload @0
ended 1 /a.A/Upload RESOURCE_EXHAUSTED 0-2 1000/0
bytes /a.A/Upload 501/0
