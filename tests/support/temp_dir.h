// SPDX-License-Identifier: Apache-2.0
#pragma once

// A folder of the test's own, gone with the test. In memory where the machine has /dev/shm: what is
// tested is what is written, not how fast a disk syncs.

#include <cstdlib>
#include <filesystem>
#include <string>

namespace cvlan::test {

class TempDir {
public:
    TempDir() {
        const std::filesystem::path shm = "/dev/shm";
        const auto parent =
            std::filesystem::is_directory(shm) ? shm : std::filesystem::temp_directory_path();
        std::string name = (parent / "cvlan-test-XXXXXX").string();
        if (!::mkdtemp(name.data())) std::abort();
        path_ = name;
    }
    TempDir(const TempDir&) = delete;
    TempDir& operator=(const TempDir&) = delete;
    ~TempDir() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }

private:
    std::string path_;
};

}  // namespace cvlan::test
