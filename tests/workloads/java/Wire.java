import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** What every workload agrees on: methods, the command in the first message, filler. The layout is in ../README.md. */
final class Wire {
    static final int MAX_MESSAGE = 16 << 20;
    static final int MAX_METADATA = 64 << 10;
    private static final int MAX_PAUSE_MS = 120_000;
    private static final int MAX_MESSAGES = 100_000;
    private static final int HEAD = 36;
    private static final int METADATA_PART = 1000;
    /** A whole HEADERS frame: an observer that loses its place counts it. */
    private static final byte[] FRAME = {0, 0, 5, 1, 5, 0, 0, 0, 1, (byte) 0x83, (byte) 0x86, (byte) 0x84, 0x41, 0};

    static final Map<String, String> METHODS = Map.of(
            "/truth.v1.Truth/Echo", "unary",
            "/truth.v1.Truth/Get", "unary",
            "/truth.v1.Truth/Put", "unary",
            "/truth.v1.Inventory/Reserve", "unary",
            "/truth.v1.Truth/Download", "server",
            "/truth.v1.Inventory/Watch", "server",
            "/truth.v1.Truth/Upload", "client",
            "/truth.v1.Truth/Chat", "bidi");

    static final MethodDescriptor.Marshaller<byte[]> BYTES = new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] value) {
            return new ByteArrayInputStream(value);
        }

        @Override
        public byte[] parse(InputStream stream) {
            try {
                return stream.readAllBytes();
            } catch (IOException error) {
                throw new UncheckedIOException(error);
            }
        }
    };

    private Wire() {}

    static MethodDescriptor<byte[], byte[]> method(String path, String kind) {
        MethodDescriptor.MethodType type = switch (kind) {
            case "server" -> MethodDescriptor.MethodType.SERVER_STREAMING;
            case "client" -> MethodDescriptor.MethodType.CLIENT_STREAMING;
            case "bidi" -> MethodDescriptor.MethodType.BIDI_STREAMING;
            default -> MethodDescriptor.MethodType.UNARY;
        };
        return MethodDescriptor.<byte[], byte[]>newBuilder(BYTES, BYTES)
                .setType(type)
                .setFullMethodName(path.substring(1))
                .build();
    }

    static byte[] fill(int size) {
        byte[] filler = new byte[size];
        for (int place = 0; place < size; place++) {
            filler[place] = FRAME[place % FRAME.length];
        }
        return filler;
    }

    static Metadata metadata(int size, String mark) {
        String text = mark + "abcdefghijklmnopqrstuvwxyz0123456789".repeat(METADATA_PART / 36 + 1);
        Metadata metadata = new Metadata();
        for (int number = 0; number * METADATA_PART < size; number++) {
            Metadata.Key<String> key =
                    Metadata.Key.of("x-truth-fill-" + number, Metadata.ASCII_STRING_MARSHALLER);
            metadata.put(key, text.substring(0, Math.min(METADATA_PART, size - number * METADATA_PART)));
        }
        return metadata;
    }

    /** What a server is asked to do. */
    record Command(int status, int sleepMs, int lingerMs, int size, int count, int headers, int trailers, int flags,
            String message) {
        static final Command NOTHING = new Command(0, 0, 0, 0, 0, 0, 0, 0, "");

        static Command parse(byte[] data) {
            if (data.length < HEAD) {
                return NOTHING;
            }
            ByteBuffer head = ByteBuffer.wrap(data);
            int[] field = new int[9];
            for (int index = 0; index < 9; index++) {
                field[index] = head.getInt();
            }
            int length = Math.max(0, Math.min(field[8], data.length - HEAD));
            String message = new String(data, HEAD, length, StandardCharsets.UTF_8);
            Command command = new Command(
                    field[0], field[1], field[2], field[3], field[4], field[5], field[6], field[7], message);
            return command.isWithinBounds()
                    ? command
                    : new Command(3, 0, 0, 0, 0, 0, 0, 0, "command out of bounds");
        }

        private boolean isWithinBounds() {
            return between(status, 16) && between(sleepMs, MAX_PAUSE_MS) && between(lingerMs, MAX_PAUSE_MS)
                    && between(size, MAX_MESSAGE) && between(count, MAX_MESSAGES)
                    && between(headers, MAX_METADATA) && between(trailers, MAX_METADATA);
        }

        private static boolean between(int value, int most) {
            return value >= 0 && value <= most;
        }

        boolean headersFirst() {
            return status == 0 || (flags & 1) != 0;
        }

        /** The first message of a call. */
        byte[] encode(int requestSize) {
            if (equals(NOTHING) && requestSize < HEAD) {
                return fill(requestSize);
            }
            byte[] text = message.getBytes(StandardCharsets.UTF_8);
            byte[] data = fill(Math.max(requestSize, HEAD + text.length));
            ByteBuffer head = ByteBuffer.wrap(data);
            int[] fields = {status, sleepMs, lingerMs, size, count, headers, trailers, flags, text.length};
            for (int field : fields) {
                head.putInt(field);
            }
            head.put(text);
            byte[] filler = fill(data.length - head.position());
            head.put(filler);
            return data;
        }
    }
}
