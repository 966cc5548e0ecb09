# HEADERS that end the request are not a second one.
fresh
0 client request 1 /a.A/One
1 client headers 1 end
  x-checksum: 1
2 server trailers-only 1 0
3 client headers 1 end
  x-checksum: 1
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
