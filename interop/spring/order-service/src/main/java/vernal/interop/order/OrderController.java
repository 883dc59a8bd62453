package vernal.interop.order;

import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;

import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Stores orders and lists them; unlike ours it believes that user and product exist. */
@RestController
@RequestMapping({"/order-service", "/order_service", ""})
class OrderController {

    record NewOrder(String productId, long qty, long unitPrice) {
    }

    record Order(String orderId, String productId, long qty, long unitPrice, long totalPrice, Instant createdAt,
            String instanceId) {
    }

    private final String instanceId = UUID.randomUUID().toString();
    private final Map<String, List<Order>> orders = new ConcurrentHashMap<>();

    @GetMapping("/{userId}/orders")
    List<Order> list(@PathVariable String userId) {
        return orders.getOrDefault(userId, List.of());
    }

    @PostMapping("/{userId}/orders")
    @ResponseStatus(HttpStatus.CREATED)
    Order create(@PathVariable String userId, @RequestBody NewOrder wanted) {
        if (wanted.qty() < 1) {
            throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "`qty` must be at least 1");
        }
        Order order = new Order(UUID.randomUUID().toString(), wanted.productId(), wanted.qty(), wanted.unitPrice(),
                Math.multiplyExact(wanted.qty(), wanted.unitPrice()), Instant.now().truncatedTo(ChronoUnit.MILLIS),
                instanceId);
        orders.computeIfAbsent(userId, user -> new CopyOnWriteArrayList<>()).add(order);
        return order;
    }
}
