// SPDX-License-Identifier: Apache-2.0
#pragma once

// cvlan-controller itself, set up anew in a folder of its own, for tests of what cvlanctl makes of
// its answers.

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdlib>
#include <fstream>
#include <optional>

#include "base/unique_fd.h"
#include "tests/support/free_port.h"
#include "tests/support/process.h"
#include "tests/support/temp_dir.h"

namespace cvlan::test {

class RealController {
public:
    // Returns once it serves.
    void start() {
        std::ofstream(config_) << "state_dir = '" << folder_.file("state") << "'\nadmin_socket = '"
                               << socket() << "'\n[listen]\napi = '127.0.0.1:" << free_port()
                               << "'\n";
        ASSERT_EQ(program({"setup", "--config", config_, "--server-name", "127.0.0.1"}).wait(), 0)
            << said();
        const UniqueFd notices = notice_socket();
        process_.emplace(program({"--config", config_}));
        unsetenv("NOTIFY_SOCKET");
        char notice[256] = {};
        ASSERT_GT(recv(notices.get(), notice, sizeof notice - 1, 0), 0) << said();
        ASSERT_NE(std::string(notice).find("READY=1"), std::string::npos);
    }
    void stop() const {
        if (!process_) return;
        process_->interrupt();
        EXPECT_EQ(process_->wait(), 0) << said();
    }
    std::string socket() const { return folder_.file("admin.sock"); }

private:
    Process program(std::vector<std::string> words) const {
        return {"cvlan-controller", std::move(words), 2, folder_.file("err")};
    }
    std::string said() const {
        std::ifstream file(folder_.file("err"));
        return {std::istreambuf_iterator<char>(file), {}};
    }
    // sd_notify(3): a word comes when it is ready, or the limit of a start that hangs.
    UniqueFd notice_socket() const {
        UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        const std::string path = folder_.file("notify");
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
        const timeval limit{60, 0};
        EXPECT_EQ(setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit), 0);
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
        return fd;
    }
    TempDir folder_;
    std::string config_ = folder_.file("controller.toml");
    std::optional<Process> process_;
};

}  // namespace cvlan::test
