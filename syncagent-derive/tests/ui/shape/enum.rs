use syncagent::{PublishPart, PublishStatus};

#[derive(PublishPart)]
pub enum Storage {
    Memory,
}

#[derive(PublishStatus)]
pub struct CacheStatus(String);

fn main() {}
