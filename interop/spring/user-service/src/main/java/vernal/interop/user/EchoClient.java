package vernal.interop.user;

import java.util.List;

import org.springframework.http.ResponseEntity;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestParam;

/** Puts values into path, query and header of a request to {@code /echo/{value}} of any service. */
interface EchoClient {

    @GetMapping("/echo/{value}")
    ResponseEntity<String> echo(@PathVariable String value, @RequestParam(name = "q", required = false) List<String> q,
            @RequestHeader(name = "X-Value", required = false) String header);

    @PostMapping(path = "/echo/{value}", consumes = "application/json")
    ResponseEntity<String> post(@PathVariable String value, @RequestBody String body);
}
