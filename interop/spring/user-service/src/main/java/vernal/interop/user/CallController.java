package vernal.interop.user;

import java.util.List;

import org.springframework.cloud.client.discovery.DiscoveryClient;
import org.springframework.cloud.openfeign.FeignClientBuilder;
import org.springframework.context.ApplicationContext;
import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RestController;

/** Lets a scenario trigger calls to services that only it knows. */
@RestController
class CallController {

    /** A GET of {@code /echo/{path}?q=..}; with {@code body} a POST to {@code /mirror/{path}?token=..}. */
    record Call(String path, List<String> query, String header, String authorization, String body) {
    }

    record Instance(String instanceId, String host, int port) {
    }

    private final ApplicationContext context;
    private final DiscoveryClient discovery;

    CallController(ApplicationContext context, DiscoveryClient discovery) {
        this.context = context;
        this.discovery = discovery;
    }

    /** By Feign, balanced over the registered instances; the answer is handed on as it came. */
    @PostMapping("/calls/{service}")
    ResponseEntity<String> call(@PathVariable String service, @RequestBody Call call) {
        EchoClient client = new FeignClientBuilder(context).forType(EchoClient.class, service).build();
        ResponseEntity<String> answer = call.body() == null
                ? client.echo(call.path(), call.query(), call.header())
                : client.mirror(Integer.parseInt(call.path()), call.query(), call.header(), call.authorization(),
                        call.body());
        return ResponseEntity.status(answer.getStatusCode()).body(answer.getBody());
    }

    /** The instances of a service as this one sees them. */
    @GetMapping("/instances/{service}")
    List<Instance> instances(@PathVariable String service) {
        return discovery.getInstances(service).stream()
                .map(instance -> new Instance(instance.getInstanceId(), instance.getHost(), instance.getPort()))
                .toList();
    }
}
