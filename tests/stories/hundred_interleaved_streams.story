# Answered and ended in orders of their own.
fresh
0 client request 1 /a.A/M0
1 client request 3 /a.A/M1
2 client request 5 /a.A/M2
3 client request 7 /a.A/M0
4 client request 9 /a.A/M1
5 client request 11 /a.A/M2
6 client request 13 /a.A/M0
7 client request 15 /a.A/M1
8 client request 17 /a.A/M2
9 client request 19 /a.A/M0
10 client request 21 /a.A/M1
11 client request 23 /a.A/M2
12 client request 25 /a.A/M0
13 client request 27 /a.A/M1
14 client request 29 /a.A/M2
15 client request 31 /a.A/M0
16 client request 33 /a.A/M1
17 client request 35 /a.A/M2
18 client request 37 /a.A/M0
19 client request 39 /a.A/M1
20 client request 41 /a.A/M2
21 client request 43 /a.A/M0
22 client request 45 /a.A/M1
23 client request 47 /a.A/M2
24 client request 49 /a.A/M0
25 client request 51 /a.A/M1
26 client request 53 /a.A/M2
27 client request 55 /a.A/M0
28 client request 57 /a.A/M1
29 client request 59 /a.A/M2
30 client request 61 /a.A/M0
31 client request 63 /a.A/M1
32 client request 65 /a.A/M2
33 client request 67 /a.A/M0
34 client request 69 /a.A/M1
35 client request 71 /a.A/M2
36 client request 73 /a.A/M0
37 client request 75 /a.A/M1
38 client request 77 /a.A/M2
39 client request 79 /a.A/M0
40 client request 81 /a.A/M1
41 client request 83 /a.A/M2
42 client request 85 /a.A/M0
43 client request 87 /a.A/M1
44 client request 89 /a.A/M2
45 client request 91 /a.A/M0
46 client request 93 /a.A/M1
47 client request 95 /a.A/M2
48 client request 97 /a.A/M0
49 client request 99 /a.A/M1
50 client request 101 /a.A/M2
51 client request 103 /a.A/M0
52 client request 105 /a.A/M1
53 client request 107 /a.A/M2
54 client request 109 /a.A/M0
55 client request 111 /a.A/M1
56 client request 113 /a.A/M2
57 client request 115 /a.A/M0
58 client request 117 /a.A/M1
59 client request 119 /a.A/M2
60 client request 121 /a.A/M0
61 client request 123 /a.A/M1
62 client request 125 /a.A/M2
63 client request 127 /a.A/M0
64 client request 129 /a.A/M1
65 client request 131 /a.A/M2
66 client request 133 /a.A/M0
67 client request 135 /a.A/M1
68 client request 137 /a.A/M2
69 client request 139 /a.A/M0
70 client request 141 /a.A/M1
71 client request 143 /a.A/M2
72 client request 145 /a.A/M0
73 client request 147 /a.A/M1
74 client request 149 /a.A/M2
75 client request 151 /a.A/M0
76 client request 153 /a.A/M1
77 client request 155 /a.A/M2
78 client request 157 /a.A/M0
79 client request 159 /a.A/M1
80 client request 161 /a.A/M2
81 client request 163 /a.A/M0
82 client request 165 /a.A/M1
83 client request 167 /a.A/M2
84 client request 169 /a.A/M0
85 client request 171 /a.A/M1
86 client request 173 /a.A/M2
87 client request 175 /a.A/M0
88 client request 177 /a.A/M1
89 client request 179 /a.A/M2
90 client request 181 /a.A/M0
91 client request 183 /a.A/M1
92 client request 185 /a.A/M2
93 client request 187 /a.A/M0
94 client request 189 /a.A/M1
95 client request 191 /a.A/M2
96 client request 193 /a.A/M0
97 client request 195 /a.A/M1
98 client request 197 /a.A/M2
99 client request 199 /a.A/M0
200 server response 1
201 server response 75
202 server response 149
203 server response 23
204 server response 97
205 server response 171
206 server response 45
207 server response 119
208 server response 193
209 server response 67
210 server response 141
211 server response 15
212 server response 89
213 server response 163
214 server response 37
215 server response 111
216 server response 185
217 server response 59
218 server response 133
219 server response 7
220 server response 81
221 server response 155
222 server response 29
223 server response 103
224 server response 177
225 server response 51
226 server response 125
227 server response 199
228 server response 73
229 server response 147
230 server response 21
231 server response 95
232 server response 169
233 server response 43
234 server response 117
235 server response 191
236 server response 65
237 server response 139
238 server response 13
239 server response 87
240 server response 161
241 server response 35
242 server response 109
243 server response 183
244 server response 57
245 server response 131
246 server response 5
247 server response 79
248 server response 153
249 server response 27
250 server response 101
251 server response 175
252 server response 49
253 server response 123
254 server response 197
255 server response 71
256 server response 145
257 server response 19
258 server response 93
259 server response 167
260 server response 41
261 server response 115
262 server response 189
263 server response 63
264 server response 137
265 server response 11
266 server response 85
267 server response 159
268 server response 33
269 server response 107
270 server response 181
271 server response 55
272 server response 129
273 server response 3
274 server response 77
275 server response 151
276 server response 25
277 server response 99
278 server response 173
279 server response 47
280 server response 121
281 server response 195
282 server response 69
283 server response 143
284 server response 17
285 server response 91
286 server response 165
287 server response 39
288 server response 113
289 server response 187
290 server response 61
291 server response 135
292 server response 9
293 server response 83
294 server response 157
295 server response 31
296 server response 105
297 server response 179
298 server response 53
299 server response 127
400 server trailers 1 0
401 server trailers 123 10
402 server trailers 45 5
403 server trailers 167 15
404 server trailers 89 10
405 server trailers 11 5
406 server trailers 133 15
407 server trailers 55 10
408 server trailers 177 3
409 server trailers 99 15
410 server trailers 21 10
411 server trailers 143 3
412 server trailers 65 15
413 server trailers 187 8
414 server trailers 109 3
415 server trailers 31 15
416 server trailers 153 8
417 server trailers 75 3
418 server trailers 197 13
419 server trailers 119 8
420 server trailers 41 3
421 server trailers 163 13
422 server trailers 85 8
423 server trailers 7 3
424 server trailers 129 13
425 server trailers 51 8
426 server trailers 173 1
427 server trailers 95 13
428 server trailers 17 8
429 server trailers 139 1
430 server trailers 61 13
431 server trailers 183 6
432 server trailers 105 1
433 server trailers 27 13
434 server trailers 149 6
435 server trailers 71 1
436 server trailers 193 11
437 server trailers 115 6
438 server trailers 37 1
439 server trailers 159 11
440 server trailers 81 6
441 server trailers 3 1
442 server trailers 125 11
443 server trailers 47 6
444 server trailers 169 16
445 server trailers 91 11
446 server trailers 13 6
447 server trailers 135 16
448 server trailers 57 11
449 server trailers 179 4
450 server trailers 101 16
451 server trailers 23 11
452 server trailers 145 4
453 server trailers 67 16
454 server trailers 189 9
455 server trailers 111 4
456 server trailers 33 16
457 server trailers 155 9
458 server trailers 77 4
459 server trailers 199 14
460 server trailers 121 9
461 server trailers 43 4
462 server trailers 165 14
463 server trailers 87 9
464 server trailers 9 4
465 server trailers 131 14
466 server trailers 53 9
467 server trailers 175 2
468 server trailers 97 14
469 server trailers 19 9
470 server trailers 141 2
471 server trailers 63 14
472 server trailers 185 7
473 server trailers 107 2
474 server trailers 29 14
475 server trailers 151 7
476 server trailers 73 2
477 server trailers 195 12
478 server trailers 117 7
479 server trailers 39 2
480 server trailers 161 12
481 server trailers 83 7
482 server trailers 5 2
483 server trailers 127 12
484 server trailers 49 7
485 server trailers 171 0
486 server trailers 93 12
487 server trailers 15 7
488 server trailers 137 0
489 server trailers 59 12
490 server trailers 181 5
491 server trailers 103 0
492 server trailers 25 12
493 server trailers 147 5
494 server trailers 69 0
495 server trailers 191 10
496 server trailers 113 5
497 server trailers 35 0
498 server trailers 157 10
499 server trailers 79 5
expect
started 1 /a.A/M0 @0
started 3 /a.A/M1 @1
started 5 /a.A/M2 @2
started 7 /a.A/M0 @3
started 9 /a.A/M1 @4
started 11 /a.A/M2 @5
started 13 /a.A/M0 @6
started 15 /a.A/M1 @7
started 17 /a.A/M2 @8
started 19 /a.A/M0 @9
started 21 /a.A/M1 @10
started 23 /a.A/M2 @11
started 25 /a.A/M0 @12
started 27 /a.A/M1 @13
started 29 /a.A/M2 @14
started 31 /a.A/M0 @15
started 33 /a.A/M1 @16
started 35 /a.A/M2 @17
started 37 /a.A/M0 @18
started 39 /a.A/M1 @19
started 41 /a.A/M2 @20
started 43 /a.A/M0 @21
started 45 /a.A/M1 @22
started 47 /a.A/M2 @23
started 49 /a.A/M0 @24
started 51 /a.A/M1 @25
started 53 /a.A/M2 @26
started 55 /a.A/M0 @27
started 57 /a.A/M1 @28
started 59 /a.A/M2 @29
started 61 /a.A/M0 @30
started 63 /a.A/M1 @31
started 65 /a.A/M2 @32
started 67 /a.A/M0 @33
started 69 /a.A/M1 @34
started 71 /a.A/M2 @35
started 73 /a.A/M0 @36
started 75 /a.A/M1 @37
started 77 /a.A/M2 @38
started 79 /a.A/M0 @39
started 81 /a.A/M1 @40
started 83 /a.A/M2 @41
started 85 /a.A/M0 @42
started 87 /a.A/M1 @43
started 89 /a.A/M2 @44
started 91 /a.A/M0 @45
started 93 /a.A/M1 @46
started 95 /a.A/M2 @47
started 97 /a.A/M0 @48
started 99 /a.A/M1 @49
started 101 /a.A/M2 @50
started 103 /a.A/M0 @51
started 105 /a.A/M1 @52
started 107 /a.A/M2 @53
started 109 /a.A/M0 @54
started 111 /a.A/M1 @55
started 113 /a.A/M2 @56
started 115 /a.A/M0 @57
started 117 /a.A/M1 @58
started 119 /a.A/M2 @59
started 121 /a.A/M0 @60
started 123 /a.A/M1 @61
started 125 /a.A/M2 @62
started 127 /a.A/M0 @63
started 129 /a.A/M1 @64
started 131 /a.A/M2 @65
started 133 /a.A/M0 @66
started 135 /a.A/M1 @67
started 137 /a.A/M2 @68
started 139 /a.A/M0 @69
started 141 /a.A/M1 @70
started 143 /a.A/M2 @71
started 145 /a.A/M0 @72
started 147 /a.A/M1 @73
started 149 /a.A/M2 @74
started 151 /a.A/M0 @75
started 153 /a.A/M1 @76
started 155 /a.A/M2 @77
started 157 /a.A/M0 @78
started 159 /a.A/M1 @79
started 161 /a.A/M2 @80
started 163 /a.A/M0 @81
started 165 /a.A/M1 @82
started 167 /a.A/M2 @83
started 169 /a.A/M0 @84
started 171 /a.A/M1 @85
started 173 /a.A/M2 @86
started 175 /a.A/M0 @87
started 177 /a.A/M1 @88
started 179 /a.A/M2 @89
started 181 /a.A/M0 @90
started 183 /a.A/M1 @91
started 185 /a.A/M2 @92
started 187 /a.A/M0 @93
started 189 /a.A/M1 @94
started 191 /a.A/M2 @95
started 193 /a.A/M0 @96
started 195 /a.A/M1 @97
started 197 /a.A/M2 @98
started 199 /a.A/M0 @99
ended 1 /a.A/M0 OK 0-400 0/0
ended 123 /a.A/M1 ABORTED 61-401 0/0
ended 45 /a.A/M1 NOT_FOUND 22-402 0/0
ended 167 /a.A/M2 DATA_LOSS 83-403 0/0
ended 89 /a.A/M2 ABORTED 44-404 0/0
ended 11 /a.A/M2 NOT_FOUND 5-405 0/0
ended 133 /a.A/M0 DATA_LOSS 66-406 0/0
ended 55 /a.A/M0 ABORTED 27-407 0/0
ended 177 /a.A/M1 INVALID_ARGUMENT 88-408 0/0
ended 99 /a.A/M1 DATA_LOSS 49-409 0/0
ended 21 /a.A/M1 ABORTED 10-410 0/0
ended 143 /a.A/M2 INVALID_ARGUMENT 71-411 0/0
ended 65 /a.A/M2 DATA_LOSS 32-412 0/0
ended 187 /a.A/M0 RESOURCE_EXHAUSTED 93-413 0/0
ended 109 /a.A/M0 INVALID_ARGUMENT 54-414 0/0
ended 31 /a.A/M0 DATA_LOSS 15-415 0/0
ended 153 /a.A/M1 RESOURCE_EXHAUSTED 76-416 0/0
ended 75 /a.A/M1 INVALID_ARGUMENT 37-417 0/0
ended 197 /a.A/M2 INTERNAL 98-418 0/0
ended 119 /a.A/M2 RESOURCE_EXHAUSTED 59-419 0/0
ended 41 /a.A/M2 INVALID_ARGUMENT 20-420 0/0
ended 163 /a.A/M0 INTERNAL 81-421 0/0
ended 85 /a.A/M0 RESOURCE_EXHAUSTED 42-422 0/0
ended 7 /a.A/M0 INVALID_ARGUMENT 3-423 0/0
ended 129 /a.A/M1 INTERNAL 64-424 0/0
ended 51 /a.A/M1 RESOURCE_EXHAUSTED 25-425 0/0
ended 173 /a.A/M2 CANCELLED 86-426 0/0
ended 95 /a.A/M2 INTERNAL 47-427 0/0
ended 17 /a.A/M2 RESOURCE_EXHAUSTED 8-428 0/0
ended 139 /a.A/M0 CANCELLED 69-429 0/0
ended 61 /a.A/M0 INTERNAL 30-430 0/0
ended 183 /a.A/M1 ALREADY_EXISTS 91-431 0/0
ended 105 /a.A/M1 CANCELLED 52-432 0/0
ended 27 /a.A/M1 INTERNAL 13-433 0/0
ended 149 /a.A/M2 ALREADY_EXISTS 74-434 0/0
ended 71 /a.A/M2 CANCELLED 35-435 0/0
ended 193 /a.A/M0 OUT_OF_RANGE 96-436 0/0
ended 115 /a.A/M0 ALREADY_EXISTS 57-437 0/0
ended 37 /a.A/M0 CANCELLED 18-438 0/0
ended 159 /a.A/M1 OUT_OF_RANGE 79-439 0/0
ended 81 /a.A/M1 ALREADY_EXISTS 40-440 0/0
ended 3 /a.A/M1 CANCELLED 1-441 0/0
ended 125 /a.A/M2 OUT_OF_RANGE 62-442 0/0
ended 47 /a.A/M2 ALREADY_EXISTS 23-443 0/0
ended 169 /a.A/M0 UNAUTHENTICATED 84-444 0/0
ended 91 /a.A/M0 OUT_OF_RANGE 45-445 0/0
ended 13 /a.A/M0 ALREADY_EXISTS 6-446 0/0
ended 135 /a.A/M1 UNAUTHENTICATED 67-447 0/0
ended 57 /a.A/M1 OUT_OF_RANGE 28-448 0/0
ended 179 /a.A/M2 DEADLINE_EXCEEDED 89-449 0/0
ended 101 /a.A/M2 UNAUTHENTICATED 50-450 0/0
ended 23 /a.A/M2 OUT_OF_RANGE 11-451 0/0
ended 145 /a.A/M0 DEADLINE_EXCEEDED 72-452 0/0
ended 67 /a.A/M0 UNAUTHENTICATED 33-453 0/0
ended 189 /a.A/M1 FAILED_PRECONDITION 94-454 0/0
ended 111 /a.A/M1 DEADLINE_EXCEEDED 55-455 0/0
ended 33 /a.A/M1 UNAUTHENTICATED 16-456 0/0
ended 155 /a.A/M2 FAILED_PRECONDITION 77-457 0/0
ended 77 /a.A/M2 DEADLINE_EXCEEDED 38-458 0/0
ended 199 /a.A/M0 UNAVAILABLE 99-459 0/0
ended 121 /a.A/M0 FAILED_PRECONDITION 60-460 0/0
ended 43 /a.A/M0 DEADLINE_EXCEEDED 21-461 0/0
ended 165 /a.A/M1 UNAVAILABLE 82-462 0/0
ended 87 /a.A/M1 FAILED_PRECONDITION 43-463 0/0
ended 9 /a.A/M1 DEADLINE_EXCEEDED 4-464 0/0
ended 131 /a.A/M2 UNAVAILABLE 65-465 0/0
ended 53 /a.A/M2 FAILED_PRECONDITION 26-466 0/0
ended 175 /a.A/M0 UNKNOWN 87-467 0/0
ended 97 /a.A/M0 UNAVAILABLE 48-468 0/0
ended 19 /a.A/M0 FAILED_PRECONDITION 9-469 0/0
ended 141 /a.A/M1 UNKNOWN 70-470 0/0
ended 63 /a.A/M1 UNAVAILABLE 31-471 0/0
ended 185 /a.A/M2 PERMISSION_DENIED 92-472 0/0
ended 107 /a.A/M2 UNKNOWN 53-473 0/0
ended 29 /a.A/M2 UNAVAILABLE 14-474 0/0
ended 151 /a.A/M0 PERMISSION_DENIED 75-475 0/0
ended 73 /a.A/M0 UNKNOWN 36-476 0/0
ended 195 /a.A/M1 UNIMPLEMENTED 97-477 0/0
ended 117 /a.A/M1 PERMISSION_DENIED 58-478 0/0
ended 39 /a.A/M1 UNKNOWN 19-479 0/0
ended 161 /a.A/M2 UNIMPLEMENTED 80-480 0/0
ended 83 /a.A/M2 PERMISSION_DENIED 41-481 0/0
ended 5 /a.A/M2 UNKNOWN 2-482 0/0
ended 127 /a.A/M0 UNIMPLEMENTED 63-483 0/0
ended 49 /a.A/M0 PERMISSION_DENIED 24-484 0/0
ended 171 /a.A/M1 OK 85-485 0/0
ended 93 /a.A/M1 UNIMPLEMENTED 46-486 0/0
ended 15 /a.A/M1 PERMISSION_DENIED 7-487 0/0
ended 137 /a.A/M2 OK 68-488 0/0
ended 59 /a.A/M2 UNIMPLEMENTED 29-489 0/0
ended 181 /a.A/M0 NOT_FOUND 90-490 0/0
ended 103 /a.A/M0 OK 51-491 0/0
ended 25 /a.A/M0 UNIMPLEMENTED 12-492 0/0
ended 147 /a.A/M1 NOT_FOUND 73-493 0/0
ended 69 /a.A/M1 OK 34-494 0/0
ended 191 /a.A/M2 ABORTED 95-495 0/0
ended 113 /a.A/M2 NOT_FOUND 56-496 0/0
ended 35 /a.A/M2 OK 17-497 0/0
ended 157 /a.A/M0 ABORTED 78-498 0/0
ended 79 /a.A/M0 NOT_FOUND 39-499 0/0
