# An error: a literal value under a name that nobody saw. It is not guessed.
joined
0 client request 1 /a.A/One unseen
1 server trailers-only 1 0 unseen
2 client request 3 /a.A/One literal
3 server response 3 literal
4 server trailers 3 5
5 client request 5 /a.A/One literal
6 server response 5 literal
7 server trailers 5 5
8 client request 7 /a.A/One literal
9 server response 7 literal
10 server trailers 7 13 literal
expect
started 3 /a.A/One @2
ended 3 /a.A/One _unobserved 2-4 0/0
started 5 /a.A/One @5
ended 5 /a.A/One _unobserved 5-7 0/0
started 7 /a.A/One @8
ended 7 /a.A/One INTERNAL 8-10 0/0
loss unknown_fields 2
loss unknown_statuses 2
