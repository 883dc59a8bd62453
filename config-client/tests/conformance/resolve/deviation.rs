//! Where we differ on purpose: rules on the input of a case.

use serde_json::Value;

use super::Case;

impl Case {
    /// The recorded answers with status 200, parsed where they are JSON.
    pub(crate) fn environments(&self) -> Vec<(&Value, Option<Value>)> {
        self.exchanges()
            .iter()
            .filter(|exchange| exchange["response"]["status"] == 200)
            .map(|exchange| {
                let body = exchange["response"]["body"].as_str().unwrap_or_default();
                (exchange, serde_json::from_str(body.trim_start_matches('\u{feff}')).ok())
            })
            .collect()
    }

    fn remote_sources(&self) -> Vec<Value> {
        let documents = self.environments().into_iter().filter_map(|(_, document)| document);
        documents.flat_map(|document| document["propertySources"].as_array().cloned().unwrap_or_default()).collect()
    }

    /// What any remote source says about a property, unwrapped.
    pub(crate) fn remote_values(&self, key: &str) -> Vec<Value> {
        let sources = self.remote_sources();
        sources.iter().filter_map(|source| source["source"].get(key).cloned()).collect()
    }

    fn remote_has(&self, wanted: impl Fn(&str) -> bool) -> bool {
        let sources = self.remote_sources();
        sources.iter().filter_map(|source| source["source"].as_object()).any(|keys| keys.keys().any(|key| wanted(key)))
    }

    fn statuses(&self) -> Vec<u64> {
        self.exchanges().iter().filter_map(|exchange| exchange["response"]["status"].as_u64()).collect()
    }

    fn imports_server(&self) -> bool {
        let in_files = self.files().iter().any(|(_, text)| text.contains("configserver:"));
        in_files || self.any_setting(|key, value| key == "spring.config.import" && value.contains("configserver:"))
    }

    fn unreadable(&self) -> bool {
        self.environments().iter().any(|(_, document)| !document.as_ref().is_some_and(Value::is_object))
    }

    /// Why we start where Java fails.
    pub(crate) fn starts_although(&self) -> Option<&'static str> {
        let json_type = |exchange: &Value| {
            let headers = exchange["response"]["headers"].as_array().into_iter().flatten();
            let mut types =
                headers.filter(|h| h[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("content-type")));
            types.any(|header| header[1].as_str().is_some_and(|value| value.contains("json")))
        };
        if self.has_setting("spring.cloud.config.enabled", "false") {
            return Some("D-3");
        }
        if !self.imports_server() && !self.has_setting("spring.cloud.bootstrap.enabled", "true") {
            return Some("2.1");
        }
        if self
            .remote_has(|key| key.starts_with("spring.profiles.active") || key.starts_with("spring.profiles.include"))
        {
            return Some("D-25");
        }
        if self.environments().iter().any(|(exchange, _)| !json_type(exchange)) {
            return Some("1.1");
        }
        if self.remote_sources().iter().any(|source| source["source"].is_null()) {
            return Some("2.4");
        }
        let ciphers = self.ciphers();
        if ciphers.iter().any(|text| text.starts_with("{key:") || text.starts_with("{secret:")) {
            return Some("D-16");
        }
        if ciphers.iter().any(|text| text.trim_ascii() != text) {
            return Some("D-13");
        }
        // Java reads the switch only if there is a key.
        (!ciphers.is_empty() && self.drops_ciphers()).then_some("3.6")
    }

    /// What stands behind `{cipher}` in any value of a server or setting.
    fn ciphers(&self) -> Vec<String> {
        let cipher = |text: &str| text.strip_prefix("{cipher}").map(str::to_owned);
        let mut ciphers = Vec::new();
        for source in self.remote_sources() {
            for value in source["source"].as_object().into_iter().flat_map(|values| values.values()) {
                ciphers.extend(value.get("value").unwrap_or(value).as_str().and_then(cipher));
            }
        }
        let settings = self.pairs("env").into_iter().chain(self.pairs("system_properties"));
        ciphers.extend(settings.filter_map(|(_, value)| cipher(&value)));
        ciphers
    }

    pub(crate) fn drops_ciphers(&self) -> bool {
        self.has_setting("encrypt.fail-on-error", "false")
    }

    /// Whether the value of a key refers to a name in another spelling than kebab-case.
    pub(crate) fn refers_relaxed(&self, key: &str) -> bool {
        let other = |name: &str| name.chars().any(|c| c.is_ascii_uppercase() || c == '_');
        let names =
            |text: &str| text.split("${").skip(1).any(|rest| other(rest.split(['}', ':']).next().unwrap_or("")));
        let remote = self.remote_values(key);
        names(key) || remote.iter().any(|value| value.get("value").unwrap_or(value).as_str().is_some_and(names))
    }

    /// Why we fail where Java starts.
    pub(crate) fn fails_although(&self) -> Option<&'static str> {
        let other_case = |key: &str, _: &str| {
            let name = key.strip_prefix("spring.cloud.config.headers.").unwrap_or_default();
            name != "authorization" && name.eq_ignore_ascii_case("authorization")
        };
        let password = self.any_setting(|key, _| key == "spring.cloud.config.password");
        if password && self.any_setting(other_case) {
            return Some("D-23");
        }
        let credentials = password
            || self.any_setting(|key, value| {
                key == "spring.cloud.config.token" && !value.trim().is_empty()
                    || key.eq_ignore_ascii_case("spring.cloud.config.headers.authorization")
                    || value.split("://").skip(1).any(|rest| {
                        rest.split('/').next().is_some_and(|host| host.contains('@') && !host.starts_with('@'))
                    })
            });
        if credentials && self.redirects_elsewhere() {
            return Some("D-23");
        }
        if self.any_setting(|key, value| key == "encrypt.key" && value.contains("PUBLIC KEY")) {
            return Some("D-11");
        }
        if self.ciphers().iter().any(|text| text.trim_ascii().len() == 32) {
            return Some("D-22");
        }
        let dots = |value: &str| value.split(',').any(|label| matches!(label.trim(), "." | ".."));
        self.any_setting(|key, value| key == "spring.cloud.config.label" && dots(value)).then_some("1.3")
    }

    fn redirects_elsewhere(&self) -> bool {
        self.exchanges().iter().any(|exchange| {
            let own = format!("@{}@", exchange["server"].as_str().unwrap_or_default());
            let headers = exchange["response"]["headers"].as_array().into_iter().flatten();
            let mut targets =
                headers.filter(|h| h[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("location")));
            targets.any(|header| {
                header[1].as_str().is_some_and(|target| !target.starts_with('/') && !target.starts_with(&own))
            })
        })
    }

    /// Why the value of a key is another one. `seen` is ours.
    pub(crate) fn value_differs(
        &self,
        key: &str,
        recorded: &Value,
        seen: Option<&str>,
        phase: usize,
    ) -> Option<&'static str> {
        let relaxed = |key: &str| key.chars().any(|c| c.is_ascii_uppercase() || c == '_');
        if recorded.is_null() && seen.is_some() && relaxed(key) {
            return Some("D-18");
        }
        if recorded.get("error").is_some()
            && seen.is_none()
            && self.remote_values(key).iter().any(|value| value.is_object() && value.get("value").is_none())
        {
            return Some("1.2");
        }
        if self.refers_relaxed(key) && seen.is_some() {
            return Some("D-18");
        }
        if recorded == "" && seen.is_none() && self.drops_ciphers() {
            return Some("D-15");
        }
        // JDK 17 prints some doubles longer than needed.
        if let (Some(recorded), Some(seen)) = (recorded.as_str(), seen)
            && let (Ok(one), Ok(other)) = (recorded.parse::<f64>(), seen.parse::<f64>())
            && one.to_bits() == other.to_bits()
            && recorded.contains('E')
        {
            return Some("4.1");
        }
        if phase > 0 {
            return self.refresh_differs();
        }
        self.ranks_differ()
    }

    /// Why sources rank otherwise at the start.
    pub(crate) fn ranks_differ(&self) -> Option<&'static str> {
        if self.answers_twice() {
            return Some("D-26");
        }
        if self.drops_ciphers() && !self.ciphers().is_empty() {
            return Some("D-15");
        }
        let profiles = self.expected()["active_profiles"].as_array().cloned().unwrap_or_default();
        let profiles: Vec<_> = profiles.iter().filter_map(Value::as_str).collect();
        let sources = self.remote_sources();
        let mut names = sources.iter().filter_map(|source| source["name"].as_str());
        let differs =
            |name: &str| profiles.iter().any(|profile| matches_anywhere(name, profile) != names_file(name, profile));
        names.any(differs).then_some("D-10")
    }

    /// Why a refresh ends otherwise: what Java keeps from before, and how it counts changes.
    pub(crate) fn refresh_differs(&self) -> Option<&'static str> {
        Some("D-21").filter(|_| self.source_vanishes() || self.was_cipher() || self.only_kind_or_placeholder())
    }

    fn phases(&self) -> Vec<Vec<Value>> {
        let mut phases: Vec<Vec<Value>> = Vec::new();
        for (exchange, document) in self.environments() {
            let phase = usize::try_from(exchange["phase"].as_u64().unwrap_or(0)).unwrap();
            phases.resize(phases.len().max(phase + 1), Vec::new());
            phases[phase] =
                document.map(|d| d["propertySources"].as_array().cloned().unwrap_or_default()).unwrap_or_default();
        }
        phases
    }

    fn source_vanishes(&self) -> bool {
        let names =
            |sources: &[Value]| -> Vec<String> { sources.iter().map(|source| source["name"].to_string()).collect() };
        // Java also keeps the order of the start.
        self.phases().windows(2).any(|pair| {
            let (before, after) = (names(&pair[0]), names(&pair[1]));
            let kept: Vec<_> = after.iter().filter(|name| before.contains(name)).collect();
            !before.iter().eq(kept)
        })
    }

    fn was_cipher(&self) -> bool {
        self.exchanges()
            .iter()
            .any(|exchange| exchange["response"]["body"].as_str().is_some_and(|body| body.contains("{cipher}")))
    }

    /// Whether a value changes its kind alone, or a placeholder passes a change on.
    fn only_kind_or_placeholder(&self) -> bool {
        let phases = self.phases();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        phases.windows(2).any(|pair| {
            pair[0].iter().zip(&pair[1]).any(|(before, after)| {
                let keys = before["source"].as_object().into_iter().flatten();
                keys.filter_map(|(key, value)| Some((value, after["source"].get(key)?))).any(|(old, new)| {
                    (old != new && text(old) == text(new)) || text(old).contains("${") || text(new).contains("${")
                })
            })
        })
    }

    /// Whether two answers of the start hold sources of the same name that differ, or the one for no profile holds
    /// one of a profile: Java keeps the places of the first answer.
    pub(crate) fn answers_twice(&self) -> bool {
        let answers: Vec<_> = self
            .environments()
            .into_iter()
            .filter(|(exchange, _)| exchange["phase"] == 0)
            .filter_map(|(exchange, document)| Some((exchange["request"]["path"].clone(), document?)))
            .collect();
        let names = |document: &Value| -> Vec<String> {
            let sources = document["propertySources"].as_array().into_iter().flatten();
            sources.filter_map(|source| Some(source["name"].as_str()?.to_owned())).collect()
        };
        let differs = |one: &Value, other: &Value| {
            let common: Vec<_> = names(one).into_iter().filter(|name| names(other).contains(name)).collect();
            let source = |document: &Value, name: &str| {
                let sources = document["propertySources"].as_array().unwrap();
                sources.iter().find(|source| source["name"] == *name).map(|source| source["source"].clone())
            };
            common.iter().any(|name| {
                source(one, name) != source(other, name)
                    || name.rsplit('/').next().is_some_and(|file| file.contains('-'))
            }) || {
                // A document of `on-profile` between two unconditional ones: only the new one moves.
                let order = names(other);
                let known: Vec<_> = order.iter().map(|name| common.contains(name)).collect();
                known.windows(2).any(|pair| pair[0] && !pair[1])
            }
        };
        answers.iter().enumerate().any(|(at, (path, one))| {
            answers[at + 1..].iter().any(|(other_path, other)| path != other_path && differs(one, other))
        })
    }

    /// Why we send other requests, judged by what was recorded.
    pub(crate) fn requests_differ(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        let statuses = self.statuses();
        if statuses.iter().any(|status| matches!(status, 400 | 401 | 403)) {
            reasons.push("D-7");
        }
        if self.unreadable() {
            reasons.push("D-6");
        }
        if self.files().iter().any(|(_, text)| text.contains("spring.profiles.active"))
            && self.remote_has(|key| key == "spring.profiles.active")
        {
            reasons.push("2.7");
        }
        reasons
    }

    /// Whether explicit credentials meet user info, which makes Java decode them.
    pub(crate) fn decodes_credentials(&self) -> bool {
        let encoded = |text: &str| text.contains('%') || text.contains('+');
        let explicit = self.any_setting(|key, value| {
            matches!(key, "spring.cloud.config.password" | "spring.cloud.config.username") && encoded(value)
        });
        let user_info = self.any_setting(|key, value| {
            matches!(key, "spring.config.import" | "spring.cloud.config.uri")
                && value.contains('@')
                && value.contains("//")
        });
        user_info && (explicit || self.any_setting(|_, value| value.contains("://") && value.contains('+')))
    }
}

/// Java's rule for a source of a profile: `.*[-,]<profile>\b.*` anywhere in the name.
fn matches_anywhere(name: &str, profile: &str) -> bool {
    let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    ["-", ","].iter().any(|mark| {
        let wanted = format!("{mark}{profile}");
        name.match_indices(&wanted).any(|(at, _)| !word(name[at + wanted.len()..].chars().next()))
    })
}

/// Our rule: the name of the file ends in it.
fn names_file(name: &str, profile: &str) -> bool {
    let file = name.split("file [").last().unwrap_or(name);
    let file = file.split([']', '\'']).next().unwrap_or(file);
    let file = file.rsplit('/').next().unwrap_or(file);
    let known = [".yml", ".yaml", ".properties", ".xml", ".json"];
    let stem = known.iter().find_map(|extension| file.strip_suffix(extension)).unwrap_or(file);
    ["-", ","].iter().any(|mark| stem.ends_with(&format!("{mark}{profile}")))
}
