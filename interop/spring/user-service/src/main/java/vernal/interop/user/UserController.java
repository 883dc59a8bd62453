package vernal.interop.user;

import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;

import org.springframework.http.HttpStatus;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestMethod;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.ResponseStatus;
import org.springframework.web.bind.annotation.RestController;
import org.springframework.web.server.ResponseStatusException;

/** Stores users and shows them with their orders. */
@RestController
@RequestMapping({"/user-service", ""})
class UserController {

    record NewUser(String email, String name, String pwd) {
    }

    record User(String userId, String email, String name) {
    }

    record UserWithOrders(String userId, String email, String name, List<Order> orders) {
    }

    private final Map<String, User> users = new ConcurrentHashMap<>();
    private final OrderServiceClient orders;

    UserController(OrderServiceClient orders) {
        this.orders = orders;
    }

    @PostMapping("/users")
    @ResponseStatus(HttpStatus.CREATED)
    User create(@RequestBody NewUser wanted) {
        User user = new User(UUID.randomUUID().toString(), wanted.email(), wanted.name());
        users.put(user.userId(), user);
        return user;
    }

    /** {@code HEAD} only asks whether the user exists, so the order service is left alone. */
    @RequestMapping(path = "/users/{userId}", method = RequestMethod.HEAD)
    void check(@PathVariable String userId) {
        find(userId);
    }

    @GetMapping("/users/{userId}")
    UserWithOrders one(@PathVariable String userId) {
        User user = find(userId);
        return new UserWithOrders(user.userId(), user.email(), user.name(), orders.getOrders(userId));
    }

    @GetMapping("/users/{userId}/orders")
    List<Order> orders(@PathVariable String userId, @RequestParam(defaultValue = "feign") String via) {
        find(userId);
        return switch (via) {
            case "feign" -> orders.getOrders(userId);
            case "wrong" -> orders.getOrdersFromAWrongPath(userId);
            default -> throw new ResponseStatusException(HttpStatus.BAD_REQUEST, "`via` is feign or wrong");
        };
    }

    private User find(String userId) {
        User user = users.get(userId);
        if (user == null) {
            throw new ResponseStatusException(HttpStatus.NOT_FOUND, "no user `" + userId + "`");
        }
        return user;
    }
}
