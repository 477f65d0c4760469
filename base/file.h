// SPDX-License-Identifier: Apache-2.0
#pragma once

// Files that must survive a crash. write_durable() leaves the old file or the new one, never half
// of either: temporary file, fsync, rename, fsync of the folder; and keeps the file it replaces as
// `<path>.prev`.

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/unique_fd.h"

namespace cvlan {

// The whole file. Refuses what is no regular file, or is larger than `max_bytes` (Code::TooLarge).
// NotFound if absent.
Result<std::string> read_file(const std::string& path, size_t max_bytes);
// As read_file, and refuses a file that others than its owner can read or write (Code::Denied).
Result<std::string> read_secret_file(const std::string& path, size_t max_bytes);
// As read_file, and refuses a link and a file that others than its owner can write (Code::Denied).
Result<std::string> read_trusted_file(const std::string& path, size_t max_bytes);

Result<void> write_durable(const std::string& path, std::string_view content, mode_t mode);
// A new file, whole or not at all. Exists where anything is there already.
Result<void> create_durable(const std::string& path, std::string_view content, mode_t mode);

// A state file: content framed with a magic line, a format version and a SHA-256, so that a file
// which is empty, cut, filled with NULs or flipped is told from a good one. load falls back to
// `.prev` and moves the bad file to `.bad`; `used_previous` tells. Both bad: Code::Malformed,
// nothing is deleted. Neither there: Code::NotFound. A version above `version`: Code::Unsupported,
// nothing is touched.
struct StateFile {
    std::string content;
    bool used_previous = false;
};
Result<void> save_state(const std::string& path, int version, std::string_view content);
Result<StateFile> load_state(const std::string& path, int version);
// As load_state, and refuses a generation that others than its owner can read or write
// (Code::Denied).
Result<StateFile> load_secret_state(const std::string& path, int version);

// Makes the folder (and its parents) with this mode; an existing one is left as it is.
Result<void> make_directories(const std::string& path, mode_t mode);
Result<void> remove_file(const std::string& path);  // absent is success

}  // namespace cvlan
