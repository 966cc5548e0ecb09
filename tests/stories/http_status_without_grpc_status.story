# Something in front answered: by the HTTP status.
fresh
0 client request 1 /a.A/One
1 server response 1 status=200 type=text/html
2 server data 1 5 end
10 client request 3 /a.A/One
11 server response 3 status=204 type=text/html
12 server data 3 5 end
20 client request 5 /a.A/One
21 server response 5 status=302 type=text/html
22 server data 5 5 end
30 client request 7 /a.A/One
31 server response 7 status=400 type=text/html
32 server data 7 5 end
40 client request 9 /a.A/One
41 server response 9 status=401 type=text/html
42 server data 9 5 end
50 client request 11 /a.A/One
51 server response 11 status=403 type=text/html
52 server data 11 5 end
60 client request 13 /a.A/One
61 server response 13 status=404 type=text/html
62 server data 13 5 end
70 client request 15 /a.A/One
71 server response 15 status=408 type=text/html
72 server data 15 5 end
80 client request 17 /a.A/One
81 server response 17 status=429 type=text/html
82 server data 17 5 end
90 client request 19 /a.A/One
91 server response 19 status=431 type=text/html
92 server data 19 5 end
100 client request 21 /a.A/One
101 server response 21 status=500 type=text/html
102 server data 21 5 end
110 client request 23 /a.A/One
111 server response 23 status=502 type=text/html
112 server data 23 5 end
120 client request 25 /a.A/One
121 server response 25 status=503 type=text/html
122 server data 25 5 end
130 client request 27 /a.A/One
131 server response 27 status=504 type=text/html
132 server data 27 5 end
expect
started 1 /a.A/One @0
ended 1 /a.A/One UNKNOWN 0-2 0/5
started 3 /a.A/One @10
ended 3 /a.A/One UNKNOWN 10-12 0/5
started 5 /a.A/One @20
ended 5 /a.A/One UNKNOWN 20-22 0/5
started 7 /a.A/One @30
ended 7 /a.A/One INTERNAL 30-32 0/5
started 9 /a.A/One @40
ended 9 /a.A/One UNAUTHENTICATED 40-42 0/5
started 11 /a.A/One @50
ended 11 /a.A/One PERMISSION_DENIED 50-52 0/5
started 13 /a.A/One @60
ended 13 /a.A/One UNIMPLEMENTED 60-62 0/5
started 15 /a.A/One @70
ended 15 /a.A/One UNKNOWN 70-72 0/5
started 17 /a.A/One @80
ended 17 /a.A/One UNAVAILABLE 80-82 0/5
started 19 /a.A/One @90
ended 19 /a.A/One UNKNOWN 90-92 0/5
started 21 /a.A/One @100
ended 21 /a.A/One UNKNOWN 100-102 0/5
started 23 /a.A/One @110
ended 23 /a.A/One UNAVAILABLE 110-112 0/5
started 25 /a.A/One @120
ended 25 /a.A/One UNAVAILABLE 120-122 0/5
started 27 /a.A/One @130
ended 27 /a.A/One UNAVAILABLE 130-132 0/5
