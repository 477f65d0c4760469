// SPDX-License-Identifier: Apache-2.0
#include "daemons/agent/config.h"

#include <gtest/gtest.h>

#include <cstring>

namespace cvlan::agent {
namespace {

const char* nothing(const char*) { return nullptr; }

std::string error_of(std::string_view text) {
    auto config = parse_config(text, "agent.toml", {}, nothing);
    return config ? "" : config.error().message;
}

TEST(AgentConfig, AnEmptyFileGivesTheDefaults) {
    auto config = parse_config("", "agent.toml", {}, nothing);
    ASSERT_TRUE(config);
    EXPECT_EQ(config->state_dir, "/var/lib/cvlan-agent");
    EXPECT_EQ(config->socket, "/run/cvlan/agent.sock");
    EXPECT_EQ(config->listen_port, 51820);
    EXPECT_TRUE(config->port_mapping);
    EXPECT_FALSE(config->upnp);
    EXPECT_EQ(config->charon_socket, "/run/cvlan/charon.vici");
    EXPECT_EQ(config->ipsec_rekey, std::chrono::hours(1));
    EXPECT_TRUE(config->report_mac_addresses);
    EXPECT_FALSE(config->metrics);
}

TEST(AgentConfig, MetricsAreForThisMachineAlone) {
    EXPECT_EQ(error_of("metrics = \"[::1]:9587\""), "");
    EXPECT_EQ(error_of("metrics = \"192.0.2.1:9587\""),
              "agent.toml:1:11: metrics must be a loopback address");
}

TEST(AgentConfig, AnUnknownKeyIsNamedWithItsPlace) {
    EXPECT_EQ(error_of("\nstat_dir = \"/x\"\n"), "agent.toml:2:1: unknown key 'stat_dir'");
}

TEST(AgentConfig, EveryFaultOfAFileIsTold) {
    const std::string error = error_of("listen_port = 0\nmtu = \"big\"\nnonsense = 1\n");
    EXPECT_NE(error.find("agent.toml:1:15: listen_port"), std::string::npos) << error;
    EXPECT_NE(error.find("agent.toml:2:7: mtu"), std::string::npos) << error;
    EXPECT_NE(error.find("agent.toml:3:1: unknown key 'nonsense'"), std::string::npos) << error;
}

TEST(AgentConfig, AFlagBeatsTheEnvironmentWhichBeatsTheFile) {
    const auto environment = [](const char* name) -> const char* {
        if (std::strcmp(name, "CVLAN_STATE_DIR") == 0) return "/env/state";
        if (std::strcmp(name, "CVLAN_SOCKET") == 0) return "/env/sock";
        if (std::strcmp(name, "CVLAN_LISTEN_PORT") == 0) return "4000";
        return nullptr;
    };
    Overrides flags;
    flags.socket = "/flag/sock";
    auto config = parse_config("state_dir = \"/file\"\nsocket = \"/file\"\nlisten_port = 3000\n",
                               "agent.toml", flags, environment);
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->socket, "/flag/sock");
    EXPECT_EQ(config->state_dir, "/env/state");
    EXPECT_EQ(config->listen_port, 4000);
}

TEST(AgentConfig, AWrongEnvironmentVariableIsNamed) {
    const auto environment = [](const char* name) -> const char* {
        return std::strcmp(name, "CVLAN_LISTEN_PORT") == 0 ? "51820x" : nullptr;
    };
    auto config = parse_config("", "agent.toml", {}, environment);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().message,
              "environment: CVLAN_LISTEN_PORT must be a whole number from 1 to 65535");
}

TEST(AgentConfig, RefusesAnEndpointNobodyCanSendTo) {
    EXPECT_NE(error_of("advertise_endpoints = [\"0.0.0.0:51820\"]"), "");
    EXPECT_NE(error_of("advertise_endpoints = [\"192.0.2.1\"]"), "");
    EXPECT_NE(error_of("advertise_endpoints = [\"192.0.2.1:0\"]"), "");
    EXPECT_EQ(error_of("advertise_endpoints = [\"192.0.2.1:51820\", \"[2001:db8::1]:1\"]"), "");
}

TEST(AgentConfig, AProxyIsAUrlAndItsPasswordIsNotPrinted) {
    auto config = parse_config("proxy = \"http://me:hush@proxy:3128\"", "agent.toml", {}, nothing);
    ASSERT_TRUE(config);
    EXPECT_EQ(config->proxy, "http://me:hush@proxy:3128");
    const std::string printed = print_config(*config);
    EXPECT_NE(printed.find("proxy = \"http://***@proxy:3128\""), std::string::npos) << printed;
    const std::string error = error_of("proxy = \"socks5://me:hush@proxy\"");
    EXPECT_NE(error.find("proxy must be http://"), std::string::npos) << error;
    EXPECT_EQ(error.find("hush"), std::string::npos);
}

TEST(AgentConfig, RefusesARelativeStateDirectory) {
    EXPECT_NE(error_of("state_dir = \"state\"").find("absolute path"), std::string::npos);
}

TEST(AgentConfig, WhatIsPrintedReadsBackTheSame) {
    auto config = parse_config(
        "state_dir = \"/a \\\"b\\\"\"\nsocket_group = \"cvlan\"\nmtu = 1400\nlog_level = "
        "\"debug\"\n"
        "advertise_endpoints = [\"192.0.2.1:51820\"]\nreport_mac_addresses = false\n"
        "metrics = \"127.0.0.1:9587\"\n",
        "agent.toml", {}, nothing);
    ASSERT_TRUE(config) << config.error().message;
    const std::string printed = print_config(*config);
    auto again = parse_config(printed, "agent.toml", {}, nothing);
    ASSERT_TRUE(again) << again.error().message << printed;
    EXPECT_EQ(print_config(*again), printed);
    EXPECT_EQ(again->state_dir, "/a \"b\"");
    EXPECT_FALSE(again->report_mac_addresses);
}

}  // namespace
}  // namespace cvlan::agent
