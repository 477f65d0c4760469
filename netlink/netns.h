// SPDX-License-Identifier: Apache-2.0
#pragma once

// A handle on a network namespace. Sockets belong for life to the namespace they were made in, so
// code enters a namespace only for the moment of opening one, and on a thread of its own: no
// other thread ever finds itself elsewhere. Entering another namespace needs CAP_SYS_ADMIN;
// entering the one the caller is already in needs nothing.

#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cvlan::netlink {

class NetnsFd {
public:
    static Result<NetnsFd> current();  // of the calling thread
    static Result<NetnsFd> open(const std::string& path);
    static Result<NetnsFd> named(std::string_view name);  // as `ip netns add` made it
    static Result<NetnsFd> of_process(pid_t pid);
    // As `ip netns add` makes it, and for everybody who uses that; the one that is there, if it is.
    static Result<NetnsFd> make(std::string_view name);
    // As `ip netns del`. One that is not there is gone.
    static Result<void> remove(std::string_view name);
    // Those that begin so.
    static Result<std::vector<std::string>> names(std::string_view prefix);

    int fd() const { return fd_.get(); }
    Result<NetnsFd> duplicate() const;
    bool is_same(const NetnsFd& other) const;
    // Runs `run` inside the namespace and waits for it. An exception must not leave `run`.
    Result<void> run(const std::function<Result<void>()>& run) const;

private:
    explicit NetnsFd(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

}  // namespace cvlan::netlink
