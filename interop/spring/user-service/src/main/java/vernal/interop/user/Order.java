package vernal.interop.user;

import java.time.Instant;

/** An order as the order service tells it. */
record Order(String orderId, String productId, long qty, long unitPrice, long totalPrice, Instant createdAt,
        String instanceId) {
}
