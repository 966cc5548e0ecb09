# The same, every field written as: literal.
fresh
0 client request 1 /a.A/One literal timeout=1S
1 server response 1 literal
2 server trailers 1 0 literal
3 client request 3 /a.A/One literal
4 server trailers-only 3 13 literal
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 3 /a.A/One @3
ended 3 /a.A/One INTERNAL 3-4 0/0
