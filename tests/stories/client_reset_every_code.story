# Whatever the code, before the deadline the client cancelled.
fresh
0 client request 1 /a.A/One timeout=1S
4 client reset 1 0
10 client request 3 /a.A/One timeout=1S
14 client reset 3 1
20 client request 5 /a.A/One timeout=1S
24 client reset 5 2
30 client request 7 /a.A/One timeout=1S
34 client reset 7 3
40 client request 9 /a.A/One timeout=1S
44 client reset 9 4
50 client request 11 /a.A/One timeout=1S
54 client reset 11 5
60 client request 13 /a.A/One timeout=1S
64 client reset 13 6
70 client request 15 /a.A/One timeout=1S
74 client reset 15 7
80 client request 17 /a.A/One timeout=1S
84 client reset 17 8
90 client request 19 /a.A/One timeout=1S
94 client reset 19 9
100 client request 21 /a.A/One timeout=1S
104 client reset 21 10
110 client request 23 /a.A/One timeout=1S
114 client reset 23 11
120 client request 25 /a.A/One timeout=1S
124 client reset 25 12
130 client request 27 /a.A/One timeout=1S
134 client reset 27 13
expect
started 1 /a.A/One @0
ended 1 /a.A/One CANCELLED 0-4 0/0
started 3 /a.A/One @10
ended 3 /a.A/One CANCELLED 10-14 0/0
started 5 /a.A/One @20
ended 5 /a.A/One CANCELLED 20-24 0/0
started 7 /a.A/One @30
ended 7 /a.A/One CANCELLED 30-34 0/0
started 9 /a.A/One @40
ended 9 /a.A/One CANCELLED 40-44 0/0
started 11 /a.A/One @50
ended 11 /a.A/One CANCELLED 50-54 0/0
started 13 /a.A/One @60
ended 13 /a.A/One CANCELLED 60-64 0/0
started 15 /a.A/One @70
ended 15 /a.A/One CANCELLED 70-74 0/0
started 17 /a.A/One @80
ended 17 /a.A/One CANCELLED 80-84 0/0
started 19 /a.A/One @90
ended 19 /a.A/One CANCELLED 90-94 0/0
started 21 /a.A/One @100
ended 21 /a.A/One CANCELLED 100-104 0/0
started 23 /a.A/One @110
ended 23 /a.A/One CANCELLED 110-114 0/0
started 25 /a.A/One @120
ended 25 /a.A/One CANCELLED 120-124 0/0
started 27 /a.A/One @130
ended 27 /a.A/One CANCELLED 130-134 0/0
