package vernal.interop.order;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.cloud.context.config.annotation.RefreshScope;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/** A refresh makes this bean anew, so that it shows the new value. */
@RestController
@RefreshScope
class WelcomeController {

    @Value("${greeting.message}")
    private String message;

    @GetMapping({"/welcome", "/order-service/welcome"})
    String welcome() {
        return message;
    }
}
