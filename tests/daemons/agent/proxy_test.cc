// SPDX-License-Identifier: Apache-2.0
// What an HTTP proxy does with a connection is tests/http's; here it is which of an agent's go
// through it.
#include "tests/daemons/agent/fake_controller.h"

namespace cvlan::agent {
namespace {

using namespace testing;

constexpr const char* kDead = "http://127.0.0.1:1";  // nobody listens there

TEST(AnAgentsProxy, IsTheOnlyWayToEnrol) {
    EventLoop loop;
    FakeController controller{loop};
    Machine machine{loop};
    machine.config.proxy = kDead;
    machine.start();
    local::UpRequest request;
    request.token = controller.token();
    request.wait_seconds = 1;
    const auto up = machine.up(request);
    ASSERT_FALSE(up);
    EXPECT_NE(up.error().error.message.find("127.0.0.1:1"), std::string::npos)
        << up.error().error.message;
}

TEST(AnAgentsProxy, IsTheOnlyWayOfASession) {
    EventLoop loop;
    FakeController controller{loop};
    controller.publish(controller.issuer.maps.usual(5, 3, wireguard_key(1)));
    Machine machine{loop};
    machine.start();
    local::UpRequest request;
    request.token = controller.token();
    ASSERT_TRUE(machine.up(request));
    machine.config.proxy = kDead;
    machine.start();
    EXPECT_TRUE(
        machine.until([&] { return machine.state() == local::SelfState::ControllerUnreachable; }));
    machine.config.proxy.clear();
    machine.start();
    EXPECT_TRUE(machine.until([&] { return machine.state() == local::SelfState::Connected; }));
}

}  // namespace
}  // namespace cvlan::agent
