# A server over its header limit: an answer that ends the stream, then a reset.
fresh
0 client request 1 /a.A/One
1 server response 1 status=431 only end
1 server reset 1 0
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNKNOWN 0-1 0/0
