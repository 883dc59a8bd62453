package vernal.interop.order;

import java.util.List;
import java.util.Map;

import jakarta.servlet.http.HttpServletRequest;

import org.springframework.http.HttpHeaders;
import org.springframework.http.ResponseEntity;
import org.springframework.util.MultiValueMap;
import org.springframework.web.bind.annotation.PathVariable;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestHeader;
import org.springframework.web.bind.annotation.RequestMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** Answers with what came. */
@RestController
class EchoController {

    record Echo(String method, String target, String path, Map<String, List<String>> query,
            Map<String, List<String>> headers, String body) {
    }

    /** What Spring made of a request: the target as it came, and path, query and headers as decoded. */
    @RequestMapping({"/echo/{value}", "/order-service/echo/{value}"})
    Echo echo(HttpServletRequest request, @PathVariable String value,
            @RequestParam MultiValueMap<String, String> query, @RequestHeader HttpHeaders headers,
            @RequestBody(required = false) String body) {
        String undecoded = request.getQueryString();
        String target = request.getRequestURI() + (undecoded == null ? "" : "?" + undecoded);
        return new Echo(request.getMethod(), target, value, query, headers.asMultiValueMap(), body);
    }

    /** The body that came, with the status that is wished for: the same for every client. */
    @PostMapping(path = "/mirror/{status}", produces = "application/json")
    ResponseEntity<String> mirror(@PathVariable int status, @RequestBody String body) {
        return ResponseEntity.status(status).body(body);
    }
}
