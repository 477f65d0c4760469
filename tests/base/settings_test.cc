// SPDX-License-Identifier: Apache-2.0
#include "base/settings.h"

#include <gtest/gtest.h>

#include <cstring>

namespace cvlan {
namespace {

Settings settings_of(std::string_view text, Environment environment) {
    return {std::move(*Config::parse(text, "d.toml")), environment};
}
const char* nothing(const char*) { return nullptr; }

TEST(Settings, AreOutrankedByTheEnvironmentAndAnEmptyVariableIsNone) {
    const auto environment = [](const char* name) -> const char* {
        if (std::strcmp(name, "CVLAN_PORT") == 0) return "7";
        if (std::strcmp(name, "CVLAN_NAME") == 0) return "";
        return nullptr;
    };
    auto settings = settings_of("port = 5\nname = 'n'\nswitch = true\n", environment);
    EXPECT_EQ(settings.integer("port", 1, 9), 7);
    EXPECT_EQ(settings.text("name"), "n");
    EXPECT_EQ(settings.boolean("switch"), true);
    EXPECT_TRUE(settings.finish());
}

TEST(Settings, TellEveryFaultOfTheEnvironmentAndOfTheFileTheyOverride) {
    const auto environment = [](const char* name) -> const char* {
        return std::strcmp(name, "CVLAN_PORT") == 0 ? "7x" : nullptr;
    };
    auto settings = settings_of("port = 'x'\nunknown = 1\n", environment);
    EXPECT_EQ(settings.integer("port", 1, 9), std::nullopt);
    const auto finished = settings.finish();
    ASSERT_FALSE(finished);
    EXPECT_EQ(finished.error().message,
              "environment: CVLAN_PORT must be a whole number from 1 to 9\n"
              "d.toml:1:8: port must be a whole number from 1 to 9\n"
              "d.toml:2:1: unknown key 'unknown'");
}

TEST(Settings, ListenForThisMachineOnLoopbackAlone) {
    auto good = settings_of("metrics = '[::1]:9100'\n", nothing);
    EXPECT_EQ(good.loopback_endpoint("metrics")->text(), "[::1]:9100");
    EXPECT_TRUE(good.finish());
    for (const char* text :
         {"metrics = '192.0.2.1:9100'", "metrics = '0.0.0.0:9100'", "metrics = 'localhost:9100'"}) {
        auto bad = settings_of(text, nothing);
        (void)bad.loopback_endpoint("metrics");
        EXPECT_FALSE(bad.finish()) << text;
    }
}

TEST(Settings, ArePrintedAsTomlThatReadsBack) {
    const std::string odd = "a \"b\" \\ c\t";
    auto settings = settings_of("text = " + toml_string(odd), nothing);
    EXPECT_EQ(settings.text("text"), odd);
    for (const auto level :
         {log::Level::Debug, log::Level::Info, log::Level::Warn, log::Level::Error})
        EXPECT_EQ(*log::parse_level(level_text(level)), level);
}

}  // namespace
}  // namespace cvlan
