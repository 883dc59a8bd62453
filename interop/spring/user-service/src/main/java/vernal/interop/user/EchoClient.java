package vernal.interop.user;

import java.util.List;

import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestParam;

/** Puts values into all parts of a request to any service. */
interface EchoClient {

    @GetMapping("/echo/{value}")
    ResponseEntity<String> echo(@PathVariable String value, @RequestParam(name = "q", required = false) List<String> q,
            @RequestHeader(name = "X-Value", required = false) String header);

    @PostMapping(path = "/mirror/{status}", consumes = "application/json")
    ResponseEntity<String> mirror(@PathVariable int status, @RequestParam(name = "token") List<String> token,
            @RequestHeader(name = "X-Value", required = false) String header,
            @RequestHeader(name = "Authorization", required = false) String authorization, @RequestBody String body);
}
