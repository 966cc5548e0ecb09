"""Whether the client's random of a real connection is where it is said to be in its SSL object.

python3 place.py LIBSSL LIBCRYPTO POINTER OFFSET, with POINTER - where there is none. Prints "same" or "different".
"""

import ctypes
import sys

libssl, libcrypto, pointer, offset = sys.argv[1:]
crypto = ctypes.CDLL(libcrypto, mode=ctypes.RTLD_GLOBAL)
ssl = ctypes.CDLL(libssl)
Pointer = ctypes.c_void_p


def call(library, name, *arguments, returns=Pointer):
    function = getattr(library, name)
    function.restype = returns
    return function(*arguments)


def memory():
    return Pointer(call(crypto, "BIO_new", Pointer(call(crypto, "BIO_s_mem"))))


context = Pointer(call(ssl, "SSL_CTX_new", Pointer(call(ssl, "TLS_client_method"))))
connection = Pointer(call(ssl, "SSL_new", context))
read, write = memory(), memory()
call(ssl, "SSL_set_bio", connection, read, write, returns=None)
call(ssl, "SSL_set_connect_state", connection, returns=None)
call(ssl, "SSL_do_handshake", connection, returns=ctypes.c_int)
sent = ctypes.create_string_buffer(16384)
length = call(crypto, "BIO_read", write, sent, len(sent), returns=ctypes.c_int)
# A handshake record with a ClientHello: its random is behind both heads and the version.
assert length > 43 and sent.raw[0] == 22 and sent.raw[5] == 1, length
place = connection.value
if pointer != "-":
    place = ctypes.c_uint64.from_address(place + int(pointer)).value
found = ctypes.string_at(place + int(offset), 32)
print("same" if found == sent.raw[11:43] else "different")
