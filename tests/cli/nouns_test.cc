// SPDX-License-Identifier: Apache-2.0
// The commands that the table of resources makes, against a controller of their own.
#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "cli/cli.h"
#include "tests/cli/real_controller.h"

namespace cvlan::cli {
namespace {

struct Ran {
    int code;
    std::string out, err;
};

struct Nouns : testing::Test {
    static void SetUpTestSuite() {
        controller = std::make_unique<test::RealController>();
        controller->start();
        ASSERT_EQ(run_it({"tenant", "create", "acme"}).code, kOk);
    }
    static void TearDownTestSuite() {
        controller->stop();
        controller.reset();
    }
    static Ran run_it(std::vector<std::string> words) {
        std::ostringstream out, err;
        std::istringstream in;
        const SystemClock clock;
        Io io{out, err, in, clock};
        words.insert(words.begin(), {"--server", "unix:" + controller->socket()});
        const int code = run(words, io);
        return {code, out.str(), err.str()};
    }
    static std::unique_ptr<test::RealController> controller;
};
std::unique_ptr<test::RealController> Nouns::controller;

TEST_F(Nouns, WithoutAFileOfTheirOwnHaveCommandsToo) {
    ASSERT_EQ(run_it({"network", "create", "lab", "--ipv4", "10.1.0.0/24"}).code, kOk);
    const Ran updated = run_it({"network", "update", "lab", "--name", "lan"});
    EXPECT_EQ(updated.code, kOk) << updated.err;
    EXPECT_NE(updated.out.find("Name            lan\n"), std::string::npos) << updated.out;
    EXPECT_EQ(run_it({"get", "networks", "-o", "name"}).out, "lan\n");
    EXPECT_EQ(run_it({"network", "update", "lab", "--name", "x"}).code, kNotFound);
    EXPECT_EQ(run_it({"network", "update", "lan", "--colour", "red"}).code, kUsage);
    EXPECT_EQ(run_it({"network", "update", "lan"}).code, kUsage) << "nothing to change";
}

TEST_F(Nouns, ARelayIsListedWithItsPlace) {
    ASSERT_EQ(run_it({"region", "create", "north"}).code, kOk);
    const Ran made = run_it({"relay", "create", "one", "--region", "north", "--endpoints",
                             "192.0.2.1:443,[2001:db8::1]:443", "--stun-port", "3479"});
    ASSERT_EQ(made.code, kOk) << made.err;
    const Ran listed = run_it({"relay", "list"});
    EXPECT_EQ(listed.out.substr(0, listed.out.find("CREATED")),
              "NAME  TENANT  REGION  ENDPOINTS                         STUN PORT  ")
        << listed.out;
    EXPECT_NE(listed.out.find("one   acme    north   192.0.2.1:443, [2001:db8::1]:443  3479 "),
              std::string::npos)
        << listed.out;
    ASSERT_EQ(run_it({"relay", "update", "one", "--stun-port", "443"}).code, kOk);
    const std::string shown = run_it({"relay", "show", "one"}).out;
    EXPECT_NE(shown.find("443\n"), std::string::npos) << shown;
    EXPECT_EQ(run_it({"relay", "update", "one", "--stun-port", "0"}).code, kFailed);
}

}  // namespace
}  // namespace cvlan::cli
