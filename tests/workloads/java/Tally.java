import com.google.gson.Gson;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Counts of what this program itself did and saw. Thread safe. */
final class Tally {
    private static final double[] BOUNDS = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
    private static final int MAX_DETAIL = 200;
    private static final Gson GSON = new Gson();

    private static final class Method {
        long started;
        final Map<String, Long> ended = new TreeMap<>();
        long request_messages;
        long request_bytes;
        long response_messages;
        long response_bytes;
        double seconds;
        final long[] buckets = new long[BOUNDS.length + 1];
    }

    private static final class Unexpected {
        String method;
        String wanted;
        String got;
        long count;
        String detail;
    }

    private final Map<String, Method> methods = new TreeMap<>();
    private final List<Unexpected> unexpected = new ArrayList<>();

    synchronized void started(String method) {
        of(method).started++;
    }

    synchronized void request(String method, byte[] data) {
        of(method).request_messages++;
        of(method).request_bytes += data.length;
    }

    synchronized void response(String method, byte[] data) {
        of(method).response_messages++;
        of(method).response_bytes += data.length;
    }

    synchronized void ended(String method, String status, long begun) {
        double seconds = (System.nanoTime() - begun) / 1e9;
        Method of = of(method);
        of.ended.merge(status, 1L, Long::sum);
        of.seconds += seconds;
        int bucket = Arrays.binarySearch(BOUNDS, seconds);
        of.buckets[bucket >= 0 ? bucket : -bucket - 1]++;
    }

    synchronized void unexpected(String method, String wanted, String got, String detail) {
        for (Unexpected entry : unexpected) {
            if (entry.method.equals(method) && entry.wanted.equals(wanted) && entry.got.equals(got)) {
                entry.count++;
                return;
            }
        }
        Unexpected entry = new Unexpected();
        entry.method = method;
        entry.wanted = wanted;
        entry.got = got;
        entry.count = 1;
        entry.detail = detail.substring(0, Math.min(MAX_DETAIL, detail.length()));
        unexpected.add(entry);
    }

    synchronized void print() {
        Map<String, Object> whole = new LinkedHashMap<>();
        whole.put("peer", "java");
        whole.put("version", "grpc-java " + version());
        whole.put("methods", methods);
        whole.put("unexpected", unexpected);
        System.out.println(GSON.toJson(whole));
        System.out.flush();
    }

    private Method of(String method) {
        return methods.computeIfAbsent(method, unused -> new Method());
    }

    private static String version() {
        // The library tells it in its user agent only: grpc-java-netty/1.41.3
        String agent = io.grpc.internal.GrpcUtil.getGrpcUserAgent("netty", null);
        return agent.substring(agent.lastIndexOf('/') + 1) + ", Netty";
    }
}
