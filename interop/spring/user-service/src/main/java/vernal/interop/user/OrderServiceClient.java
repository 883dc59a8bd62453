package vernal.interop.user;

import java.util.List;

import org.springframework.cloud.openfeign.FeignClient;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;

/** What the user service asks of the order service. */
@FeignClient("order-service")
interface OrderServiceClient {

    @GetMapping("/order-service/{userId}/orders")
    List<Order> getOrders(@PathVariable String userId);

    /** A path that the order service does not know. */
    @GetMapping("/order-service/{userId}/orders_ng")
    List<Order> getOrdersFromAWrongPath(@PathVariable String userId);
}
