// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace cvlan::enrolee::testing {

// A folder in which nothing can be changed while this lives, not by root either.
class Frozen {
public:
    explicit Frozen(std::string path) : path_(std::move(path)) {
        if (chmod(path_.c_str(), 0500) != 0) std::abort();
        setfsuid(65534);
    }
    Frozen(const Frozen&) = delete;
    ~Frozen() {
        setfsuid(geteuid());
        if (chmod(path_.c_str(), 0700) != 0) std::abort();
    }

private:
    std::string path_;
};

}  // namespace cvlan::enrolee::testing
