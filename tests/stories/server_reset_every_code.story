# The mapping of gRPC over HTTP/2.
fresh
0 client request 1 /a.A/One
4 server reset 1 0
10 client request 3 /a.A/One
14 server reset 3 1
20 client request 5 /a.A/One
24 server reset 5 2
30 client request 7 /a.A/One
34 server reset 7 3
40 client request 9 /a.A/One
44 server reset 9 4
50 client request 11 /a.A/One
54 server reset 11 5
60 client request 13 /a.A/One
64 server reset 13 6
70 client request 15 /a.A/One
74 server reset 15 7
80 client request 17 /a.A/One
84 server reset 17 8
90 client request 19 /a.A/One
94 server reset 19 9
100 client request 21 /a.A/One
104 server reset 21 10
110 client request 23 /a.A/One
114 server reset 23 11
120 client request 25 /a.A/One
124 server reset 25 12
130 client request 27 /a.A/One
134 server reset 27 13
140 client request 29 /a.A/One
144 server reset 29 14
expect
started 1 /a.A/One @0
ended 1 /a.A/One INTERNAL 0-4 0/0
started 3 /a.A/One @10
ended 3 /a.A/One INTERNAL 10-14 0/0
started 5 /a.A/One @20
ended 5 /a.A/One INTERNAL 20-24 0/0
started 7 /a.A/One @30
ended 7 /a.A/One INTERNAL 30-34 0/0
started 9 /a.A/One @40
ended 9 /a.A/One INTERNAL 40-44 0/0
started 11 /a.A/One @50
ended 11 /a.A/One UNKNOWN 50-54 0/0
started 13 /a.A/One @60
ended 13 /a.A/One INTERNAL 60-64 0/0
started 15 /a.A/One @70
ended 15 /a.A/One UNAVAILABLE 70-74 0/0
started 17 /a.A/One @80
ended 17 /a.A/One CANCELLED 80-84 0/0
started 19 /a.A/One @90
ended 19 /a.A/One INTERNAL 90-94 0/0
started 21 /a.A/One @100
ended 21 /a.A/One INTERNAL 100-104 0/0
started 23 /a.A/One @110
ended 23 /a.A/One RESOURCE_EXHAUSTED 110-114 0/0
started 25 /a.A/One @120
ended 25 /a.A/One PERMISSION_DENIED 120-124 0/0
started 27 /a.A/One @130
ended 27 /a.A/One UNKNOWN 130-134 0/0
started 29 /a.A/One @140
ended 29 /a.A/One UNKNOWN 140-144 0/0
