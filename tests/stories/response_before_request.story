# Records of the answer came first: the request is older all the same.
fresh
5 server response 1
0 client request 1 /a.A/One
6 server trailers 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-6 0/0
