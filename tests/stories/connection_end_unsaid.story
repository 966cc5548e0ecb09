# The pipeline gives the connection up.
fresh
0 client request 1 /a.A/One
9 observer end
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNAVAILABLE 0-9 0/0
