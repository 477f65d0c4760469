// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/config.h"

#include <charconv>

#include "base/config.h"

namespace cvlan::relayd {

namespace {

constexpr int64_t kMost = int64_t{1} << 40;

// One key after the other: environment before file; the file's value is asked for in any case, so
// that a wrong one is found even while it is overridden.
class Reader {
public:
    Reader(Config& file, Environment environment) : file_(file), environment_(environment) {}

    std::optional<std::string> text(std::string_view key) {
        auto from_file = file_.text(key);
        if (auto set = from_environment(key)) return set;
        return from_file;
    }
    void number(std::string_view key, int64_t lowest, uint64_t& out) {
        auto value = file_.integer(key, lowest, kMost);
        if (const auto set = from_environment(key)) {
            int64_t number = 0;
            const char* end = set->data() + set->size();
            const auto [stop, error] = std::from_chars(set->data(), end, number);
            if (error != std::errc() || stop != end || number < lowest || number > kMost)
                wrong(key, fmt::format("must be a whole number from {}", lowest));
            else
                value = number;
        }
        if (value) out = static_cast<uint64_t>(*value);
    }
    void boolean(std::string_view key, bool& out) {
        auto value = file_.boolean(key);
        if (const auto set = from_environment(key)) {
            if (*set != "true" && *set != "false") wrong(key, "must be true or false");
            value = *set == "true";
        }
        if (value) out = *value;
    }
    void endpoint(std::string_view key, std::optional<Endpoint>& out) {
        const auto value = text(key);
        if (!value) return;
        auto parsed = Endpoint::parse(*value);
        if (!parsed) return file_.reject(key, parsed.error().message);
        out = *parsed;
    }
    Config& file() { return file_; }
    const std::vector<std::string>& faults() const { return faults_; }

private:
    static std::string variable(std::string_view key) {
        std::string name = "CVLAN_";
        for (const char c : key)
            name += static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
        return name;
    }
    std::optional<std::string> from_environment(std::string_view key) const {
        const char* value = environment_(variable(key).c_str());
        if (!value || !*value) return std::nullopt;
        return std::string(value);
    }
    void wrong(std::string_view key, std::string_view why) {
        faults_.push_back(fmt::format("environment: {} {}", variable(key), why));
    }

    Config& file_;
    Environment environment_;
    std::vector<std::string> faults_;
};

std::optional<uint16_t> port_of(std::string_view text) {
    uint16_t port = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || stop != text.data() + text.size() || port == 0) return std::nullopt;
    return port;
}

void read_ports(Reader& reader, RelayConfig& config) {
    if (const auto texts = reader.file().texts("stun_ports")) {
        config.stun_ports.clear();
        for (const std::string& text : *texts) {
            const auto port = port_of(text);
            if (!port)
                reader.file().reject("stun_ports", "must be ports as text: [\"3478\"]");
            else
                config.stun_ports.push_back(*port);
        }
        if (texts->empty() || texts->size() > 4)
            reader.file().reject("stun_ports", "must be one to four ports");
    }
    const auto range = reader.text("pair_ports");
    if (!range) return;
    const size_t dash = range->find('-');
    const auto first = port_of(range->substr(0, dash));
    const auto last = dash == std::string::npos ? first : port_of(range->substr(dash + 1));
    if (!first || !last || *first > *last)
        return reader.file().reject("pair_ports", "must be a range: \"49152-50175\"");
    config.pairs.first_port = *first;
    config.pairs.last_port = *last;
}

void read_limits(Reader& reader, RelayConfig& config) {
    relay::TenantLimits& tenant = config.limits.tenant;
    reader.number("sessions", 1, config.limits.sessions);
    reader.number("tenant_sessions", 1, tenant.sessions);
    reader.number("tenant_packets_per_second", 0, tenant.packets_a_second);
    reader.number("tenant_bytes_per_second", 0, tenant.bytes_a_second);
    reader.number("tenant_pairs", 0, config.pairs.a_tenant);
}

Result<RelayConfig> read(Config file, const Overrides& flags, Environment environment) {
    RelayConfig config;
    Reader reader(file, environment);
    auto state_dir = reader.text("state_dir");
    if (flags.state_dir) state_dir = flags.state_dir;
    if (state_dir) config.state_dir = *state_dir;
    if (!config.state_dir.starts_with('/')) file.reject("state_dir", "must be an absolute path");
    std::optional<Endpoint> listen = *Endpoint::parse("[::]:443");
    reader.endpoint("listen", listen);
    config.listen = *listen;
    reader.endpoint("metrics", config.metrics);
    if (config.metrics && !config.metrics->address.is_loopback())
        file.reject("metrics", "must be a loopback address");
    reader.boolean("udp_relaying", config.udp_relaying);
    reader.boolean("enable_forwarding", config.enable_forwarding);
    read_ports(reader, config);
    read_limits(reader, config);
    auto level = reader.text("log_level");
    if (flags.log_level) level = flags.log_level;
    if (level) {
        auto parsed = log::parse_level(*level);
        if (parsed)
            config.log_level = *parsed;
        else
            file.reject("log_level", parsed.error().message);
    }
    std::vector<std::string> faults = reader.faults();
    if (auto finished = file.finish(); !finished) faults.push_back(finished.error().message);
    if (!faults.empty()) return fail(Code::Invalid, "{}", fmt::join(faults, "\n"));
    return config;
}

std::string_view level_text(log::Level level) {
    switch (level) {
        case log::Level::Debug:
            return "debug";
        case log::Level::Info:
            return "info";
        case log::Level::Warn:
            return "warn";
        case log::Level::Error:
            return "error";
    }
    return "info";
}

// A TOML basic string.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04X}", c);
        else
            out += c;
    }
    return out + '"';
}

}  // namespace

Result<RelayConfig> load_config(const std::string& path, const Overrides& flags,
                                Environment environment) {
    auto file = Config::load(path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
}

Result<RelayConfig> parse_config(std::string_view text, const std::string& path,
                                 const Overrides& flags, Environment environment) {
    auto file = Config::parse(text, path);
    if (!file) return failed(file.error());
    return read(std::move(*file), flags, environment);
}

std::string print_config(const RelayConfig& config) {
    std::vector<std::string> ports;
    for (const uint16_t port : config.stun_ports) ports.push_back(fmt::format("\"{}\"", port));
    std::string out;
    out += fmt::format("state_dir = {}\n", quoted(config.state_dir));
    out += fmt::format("listen = {}\n", quoted(config.listen.text()));
    out += fmt::format("stun_ports = [{}]\n", fmt::join(ports, ", "));
    if (config.metrics) out += fmt::format("metrics = {}\n", quoted(config.metrics->text()));
    out += fmt::format("udp_relaying = {}\n", config.udp_relaying);
    out += fmt::format("enable_forwarding = {}\n", config.enable_forwarding);
    out += fmt::format("pair_ports = \"{}-{}\"\n", config.pairs.first_port, config.pairs.last_port);
    out += fmt::format("sessions = {}\n", config.limits.sessions);
    out += fmt::format("tenant_sessions = {}\n", config.limits.tenant.sessions);
    out += fmt::format("tenant_packets_per_second = {}\n", config.limits.tenant.packets_a_second);
    out += fmt::format("tenant_bytes_per_second = {}\n", config.limits.tenant.bytes_a_second);
    out += fmt::format("tenant_pairs = {}\n", config.pairs.a_tenant);
    out += fmt::format("log_level = {}\n", quoted(level_text(config.log_level)));
    return out;
}

}  // namespace cvlan::relayd
