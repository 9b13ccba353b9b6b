//! Files and folders that are whole or not there, even after a kill or a power cut, and hashes of their content.
//!
//! - [`write_whole`]: a file, through a temporary one beside it.
//! - [`read_file`], [`read_text_file`], [`open_file`]: files alone, never pipes or devices, which may not end, nor what is larger than
//!   memory ([`memory_limit`]).
//! - [`NewFolder`]: a folder, through a temporary one beside it, which takes the place of the old one in one step.
//! - [`FolderLock`]: one writer at a time in a folder.
//! - [`ContentHash`]: SHA-256, which names what something was made from.

mod content_hash;
mod error;
mod folder_lock;
mod memory;
mod new_folder;
mod regular_file;
mod whole_file;

pub use content_hash::ContentHash;
pub use error::FileError;
pub use folder_lock::FolderLock;
pub use memory::memory_limit;
pub use new_folder::{NewFolder, remove_folder};
pub use regular_file::{open_file, read_file, read_text_file};
pub use whole_file::{
    check_writable, place_of, remove_if_there, remove_temporary, sync_folder, write_if_changed,
    write_whole,
};
