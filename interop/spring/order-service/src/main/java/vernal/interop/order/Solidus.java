package vernal.interop.order;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.boot.tomcat.ConfigurableTomcatWebServerFactory;
import org.springframework.boot.web.server.WebServerFactoryCustomizer;
import org.springframework.stereotype.Component;

/**
 * Tomcat answers {@code %2F} and {@code %5C} in a path with 400; with
 * {@code interop.encoded-solidus-handling=passthrough} they reach the controller.
 */
@Component
@ConditionalOnProperty("interop.encoded-solidus-handling")
class Solidus implements WebServerFactoryCustomizer<ConfigurableTomcatWebServerFactory> {

    private final String handling;

    Solidus(@Value("${interop.encoded-solidus-handling}") String handling) {
        this.handling = handling;
    }

    @Override
    public void customize(ConfigurableTomcatWebServerFactory factory) {
        factory.addConnectorCustomizers(connector -> {
            connector.setEncodedSolidusHandling(handling);
            connector.setEncodedReverseSolidusHandling(handling);
        });
    }
}
