import io.grpc.Metadata;
import io.grpc.Status;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;

/** One step of a plan; the fields are the keys of the JSON, with their defaults. */
final class Step {
    private static final AtomicInteger MARKS = new AtomicInteger();

    String method = "/truth.v1.Truth/Echo";
    String kind = "unary";
    int count = 1;
    int connections = 1;
    int concurrency = 1;
    boolean churn;
    int request_size;
    int request_count = 1;
    int deadline_ms;
    int cancel_after_ms;
    boolean cancel_after_first;
    int metadata_size;
    boolean metadata_unique;
    int status;
    String message = "";
    int sleep_ms;
    int linger_ms;
    int response_size;
    int response_count;
    int response_headers;
    int response_trailers;
    boolean headers_first;
    String expect;

    private transient byte[] first;

    int requests() {
        return kind.equals("client") || kind.equals("bidi") ? request_count : 1;
    }

    /** How many messages answer one request message of a conversation. */
    int answersEach() {
        return kind.equals("bidi") ? Math.max(1, response_count) : 0;
    }

    synchronized byte[] request(int number) {
        if (number > 0) {
            return Wire.fill(request_size);
        }
        if (first == null) {
            int flags = headers_first ? 1 : 0;
            first = new Wire.Command(status, sleep_ms, linger_ms, response_size, response_count, response_headers,
                    response_trailers, flags, message).encode(request_size);
        }
        return first;
    }

    Metadata metadata() {
        String mark = metadata_unique ? String.format("%08d-", MARKS.incrementAndGet()) : "";
        return Wire.metadata(metadata_size, mark);
    }

    private int answers() {
        boolean isStream = kind.equals("server") || kind.equals("bidi");
        if (status != 0 && !(headers_first && isStream)) {
            return 0;
        }
        return switch (kind) {
            case "server" -> response_count;
            case "bidi" -> answersEach() * request_count;
            default -> 1;
        };
    }

    /** Compares the end of a call, and the sizes of its answers, with what the plan wants. */
    void check(Tally tally, String got, String detail, List<Integer> sizes) {
        String named = Status.fromCodeValue(status).getCode().name();
        String wanted = expect == null ? named : expect;
        if (!wanted.equals("*") && !wanted.equals(got)) {
            tally.unexpected(method, wanted, got, detail);
            return;
        }
        if (wanted.equals("*") || got.equals("CANCELLED") || !got.equals(named)) {
            return;
        }
        boolean isRight = sizes.size() == answers();
        for (int size : sizes) {
            isRight &= size == response_size;
        }
        if (!isRight) {
            tally.unexpected(method, wanted, "WRONG_ANSWER", sizes.size() + " answers");
        }
    }
}
