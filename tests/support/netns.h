// SPDX-License-Identifier: Apache-2.0
#pragma once

// A network namespace of its own for every kernel test. The test's thread moves into a fresh one,
// and never back: no test touches the namespace it was started in. Needs root; without it the test
// fails, since a kernel test that did not run proves nothing.

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/types.h>

#include <cstdlib>
#include <string>
#include <thread>

#include "netlink/netns.h"
#include "tests/support/shell.h"

namespace cvlan::tests {

// Another fresh namespace, which lives as long as the descriptor.
inline netlink::NetnsFd new_netns() {
    Result<netlink::NetnsFd> made = fail(Code::Internal, "not run");
    std::thread([&] {
        if (unshare(CLONE_NEWNET) == 0) made = netlink::NetnsFd::current();
    }).join();
    if (!made) {
        ADD_FAILURE() << "a network namespace needs root: " << made.error().message;
        std::abort();
    }
    return std::move(*made);
}

// Fixture: each test begins in a namespace with nothing but a loopback that is up.
class InOwnNetns : public testing::Test {
protected:
    void SetUp() override {
        ASSERT_EQ(unshare(CLONE_NEWNET), 0) << "kernel tests need root";
        output_of("ip link set lo up");
        auto here = netlink::NetnsFd::current();
        ASSERT_TRUE(here) << here.error().message;
        netns_ = std::make_unique<netlink::NetnsFd>(std::move(*here));
    }
    const netlink::NetnsFd& netns() const { return *netns_; }

private:
    std::unique_ptr<netlink::NetnsFd> netns_;
};

}  // namespace cvlan::tests
