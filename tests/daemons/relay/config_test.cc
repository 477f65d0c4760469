// SPDX-License-Identifier: Apache-2.0
#include "daemons/relay/config.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace cvlan::relayd {
namespace {

std::map<std::string, std::string>& variables() {
    static std::map<std::string, std::string> all;
    return all;
}
const char* environment(const char* name) {
    const auto found = variables().find(name);
    return found == variables().end() ? nullptr : found->second.c_str();
}
Result<RelayConfig> parse(std::string_view text, const Overrides& flags = {}) {
    return parse_config(text, "relay.toml", flags, environment);
}

class ARelayConfig : public testing::Test {
protected:
    void SetUp() override { variables().clear(); }
};

TEST_F(ARelayConfig, NeedsNoKey) {
    const auto config = parse("");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->listen.text(), "[::]:443");
    EXPECT_EQ(config->stun_ports, (std::vector<uint16_t>{3478, 443}));
    EXPECT_EQ(config->pairs.first_port, 49152);
    EXPECT_FALSE(config->metrics);
}

TEST_F(ARelayConfig, ReadsBackWhatItPrints) {
    const auto config = parse(R"(
state_dir = "/tmp/r\u0022"
listen = "192.0.2.1:8443"
stun_ports = ["3479"]
metrics = "127.0.0.1:9100"
udp_relaying = false
pair_ports = "50000-50001"
sessions = 7
tenant_sessions = 6
tenant_packets_per_second = 5
tenant_bytes_per_second = 4
tenant_pairs = 3
log_level = "warn"
)");
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->limits.tenant.bytes_a_second, 4u);
    EXPECT_EQ(config->pairs.last_port, 50001);
    const std::string printed = print_config(*config);
    const auto again = parse(printed);
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(print_config(*again), printed);
}

TEST_F(ARelayConfig, IsOutrankedByTheEnvironmentAndThatByAFlag) {
    variables() = {
        {"CVLAN_STATE_DIR", "/env"}, {"CVLAN_SESSIONS", "9"}, {"CVLAN_UDP_RELAYING", "false"}};
    const auto config = parse("state_dir = '/file'\nsessions = 8\n");
    ASSERT_TRUE(config);
    EXPECT_EQ(config->state_dir, "/env");
    EXPECT_EQ(config->limits.sessions, 9u);
    EXPECT_FALSE(config->udp_relaying);
    EXPECT_EQ(parse("", {.state_dir = "/flag", .log_level = {}})->state_dir, "/flag");
}

TEST_F(ARelayConfig, NamesWhatIsWrong) {
    const std::pair<const char*, const char*> wrong[] = {
        {"stat_dir = '/x'", "relay.toml:1:1: unknown key 'stat_dir'"},
        {"state_dir = 'x'", "absolute path"},
        {"listen = '443'", "listen"},
        {"metrics = '192.0.2.1:9100'", "loopback"},
        {"stun_ports = []", "one to four"},
        {"stun_ports = ['0']", "stun_ports"},
        {"pair_ports = '9-8'", "range"},
        {"pair_ports = '70000-70001'", "range"},
        {"sessions = 0", "sessions"},
        {"log_level = 'loud'", "log_level"},
    };
    for (const auto& [text, said] : wrong) {
        const auto config = parse(text);
        ASSERT_FALSE(config) << text;
        EXPECT_NE(config.error().message.find(said), std::string::npos) << config.error().message;
    }
    variables() = {{"CVLAN_SESSIONS", "many"}};
    EXPECT_FALSE(parse(""));
}

}  // namespace
}  // namespace cvlan::relayd
