package vernal.interop.user;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.IntStream;

import org.springframework.cloud.openfeign.FeignClientBuilder;
import org.springframework.context.ApplicationContext;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Measures how fast a Feign client calls a service; ours opposite: {@code interop/src/bench/load.rs}. */
@RestController
class LoadController {

    record Order(String orderId, String productId, long qty, long unitPrice, long totalPrice, String createdAt,
            String instanceId) {
    }

    interface Orders {

        @GetMapping("/order-service/{userId}/orders")
        List<Order> getOrders(@PathVariable String userId);
    }

    record Rates(double perSecond, double p50Micros, double p99Micros) {
    }

    private final ApplicationContext context;

    LoadController(ApplicationContext context) {
        this.context = context;
    }

    /** So many threads, each of which calls one time after the other; what begins in the warm-up does not count. */
    @PostMapping("/load/{service}")
    Rates load(@PathVariable String service, @RequestParam int concurrency, @RequestParam long warmUpMillis,
            @RequestParam long millis) throws InterruptedException, ExecutionException {
        Orders client = new FeignClientBuilder(context).forType(Orders.class, service).build();
        long begin = System.nanoTime() + warmUpMillis * 1_000_000;
        long end = begin + millis * 1_000_000;
        ExecutorService threads = Executors.newFixedThreadPool(concurrency);
        try {
            List<Future<List<Long>>> running = IntStream.range(0, concurrency)
                    .mapToObj(number -> threads.submit(() -> calls(client, begin, end)))
                    .toList();
            List<Long> times = new ArrayList<>();
            for (Future<List<Long>> calls : running) {
                times.addAll(calls.get());
            }
            long[] sorted = times.stream().mapToLong(Long::longValue).sorted().toArray();
            return new Rates(sorted.length * 1000.0 / millis, micros(sorted, 0.5), micros(sorted, 0.99));
        } finally {
            threads.shutdownNow();
        }
    }

    private static List<Long> calls(Orders client, long begin, long end) {
        List<Long> times = new ArrayList<>();
        for (long start = System.nanoTime(); start < end; start = System.nanoTime()) {
            client.getOrders("ada");
            if (start >= begin) {
                times.add(System.nanoTime() - start);
            }
        }
        return times;
    }

    private static double micros(long[] sorted, double quantile) {
        return sorted[(int) (sorted.length * quantile)] / 1000.0;
    }
}
