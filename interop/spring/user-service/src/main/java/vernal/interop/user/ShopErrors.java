package vernal.interop.user;

import feign.Response;
import feign.codec.ErrorDecoder;

import org.springframework.http.HttpStatus;
import org.springframework.stereotype.Component;
import org.springframework.web.server.ResponseStatusException;

/** One error decoder for all Feign clients of this application. */
@Component
class ShopErrors implements ErrorDecoder {

    @Override
    public Exception decode(String methodKey, Response response) {
        if (response.status() == 404 && methodKey.contains("getOrders")) {
            return new ResponseStatusException(HttpStatus.NOT_FOUND, "User's orders is empty.");
        }
        return new ResponseStatusException(HttpStatus.BAD_GATEWAY,
                methodKey + " was answered " + response.status());
    }
}
