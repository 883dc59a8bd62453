package vernal.interop.journal;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.web.servlet.FilterRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.core.Ordered;

/** Gives every peer that has this module on its class path the journal at {@code /journal}. */
@AutoConfiguration
public class JournalConfiguration {

    @Bean
    Journal journal() {
        return new Journal();
    }

    @Bean
    JournalController journalController(Journal journal) {
        return new JournalController(journal);
    }

    /** Before Spring Security, so that refused requests are seen too. */
    @Bean
    FilterRegistrationBean<RequestJournal> requestJournal(Journal journal) {
        var filter = new FilterRegistrationBean<>(new RequestJournal(journal));
        filter.setOrder(Ordered.HIGHEST_PRECEDENCE);
        return filter;
    }

    @Configuration(proxyBeanMethods = false)
    @ConditionalOnClass(name = "org.springframework.cloud.bus.event.RemoteApplicationEvent")
    static class Bus {

        @Bean
        BusJournal busJournal(Journal journal) {
            return new BusJournal(journal);
        }
    }
}
