# All seventeen.
fresh
0 client request 1 /a.A/One
1 server response 1
2 server trailers 1 0
10 client request 3 /a.A/One
11 server response 3
12 server trailers 3 1
20 client request 5 /a.A/One
21 server response 5
22 server trailers 5 2
30 client request 7 /a.A/One
31 server response 7
32 server trailers 7 3
40 client request 9 /a.A/One
41 server response 9
42 server trailers 9 4
50 client request 11 /a.A/One
51 server response 11
52 server trailers 11 5
60 client request 13 /a.A/One
61 server response 13
62 server trailers 13 6
70 client request 15 /a.A/One
71 server response 15
72 server trailers 15 7
80 client request 17 /a.A/One
81 server response 17
82 server trailers 17 8
90 client request 19 /a.A/One
91 server response 19
92 server trailers 19 9
100 client request 21 /a.A/One
101 server response 21
102 server trailers 21 10
110 client request 23 /a.A/One
111 server response 23
112 server trailers 23 11
120 client request 25 /a.A/One
121 server response 25
122 server trailers 25 12
130 client request 27 /a.A/One
131 server response 27
132 server trailers 27 13
140 client request 29 /a.A/One
141 server response 29
142 server trailers 29 14
150 client request 31 /a.A/One
151 server response 31
152 server trailers 31 15
160 client request 33 /a.A/One
161 server response 33
162 server trailers 33 16
expect
started 1 /a.A/One @0
ended 1 /a.A/One OK 0-2 0/0
started 3 /a.A/One @10
ended 3 /a.A/One CANCELLED 10-12 0/0
started 5 /a.A/One @20
ended 5 /a.A/One UNKNOWN 20-22 0/0
started 7 /a.A/One @30
ended 7 /a.A/One INVALID_ARGUMENT 30-32 0/0
started 9 /a.A/One @40
ended 9 /a.A/One DEADLINE_EXCEEDED 40-42 0/0
started 11 /a.A/One @50
ended 11 /a.A/One NOT_FOUND 50-52 0/0
started 13 /a.A/One @60
ended 13 /a.A/One ALREADY_EXISTS 60-62 0/0
started 15 /a.A/One @70
ended 15 /a.A/One PERMISSION_DENIED 70-72 0/0
started 17 /a.A/One @80
ended 17 /a.A/One RESOURCE_EXHAUSTED 80-82 0/0
started 19 /a.A/One @90
ended 19 /a.A/One FAILED_PRECONDITION 90-92 0/0
started 21 /a.A/One @100
ended 21 /a.A/One ABORTED 100-102 0/0
started 23 /a.A/One @110
ended 23 /a.A/One OUT_OF_RANGE 110-112 0/0
started 25 /a.A/One @120
ended 25 /a.A/One UNIMPLEMENTED 120-122 0/0
started 27 /a.A/One @130
ended 27 /a.A/One INTERNAL 130-132 0/0
started 29 /a.A/One @140
ended 29 /a.A/One UNAVAILABLE 140-142 0/0
started 31 /a.A/One @150
ended 31 /a.A/One DATA_LOSS 150-152 0/0
started 33 /a.A/One @160
ended 33 /a.A/One UNAUTHENTICATED 160-162 0/0
